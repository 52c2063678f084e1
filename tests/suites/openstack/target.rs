//! From a signed list to an OpenStack: a whole site with a cloud, run as a cron job would.

use harness::image_server::Resource;
use harness::openstack::{DTEAM, Image, OPS, OpenStack, PASSWORD, PUBLISHER, VMCATCHER};
use harness::site::{Run, Served, Site};
use jiff::SignedDuration;
use serde_json::{Value, json};
use vmcatcher_operator::api::{CloudTarget, CloudTargetStatus, HasConditions, ObjectKey, TargetStatus};
use vmcatcher_operator::store::ResourceStore;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

fn secret(site: &Site, entries: &Value) {
    let manifest =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openstack"}, "stringData": entries});
    site.manifest("secret", &manifest.to_string());
}

fn application_credential() -> Value {
    json!({"application_credential_id": VMCATCHER, "application_credential_secret": PASSWORD})
}

/// A target with these fields of `openStack`.
fn target(site: &Site, cloud: &OpenStack, more: &Value) {
    let mut member = json!({"authUrl": cloud.auth_url(), "secretRef": {"name": "openstack"}});
    member.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let manifest = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": "stack"},
        "spec": {"type": "OpenStack", "openStack": member},
    });
    site.manifest("target", &manifest.to_string());
}

/// A site whose images go to a cloud.
fn site() -> (Site, OpenStack) {
    let (site, cloud) = (Site::new(), OpenStack::start());
    cloud.world(|world| world.clock = site.now().as_second());
    secret(&site, &application_credential());
    target(&site, &cloud, &json!({}));
    site.subscribe("targetRefs: [{name: stack}]");
    (site, cloud)
}

fn qcow2(site: &Site, identifier: &str, version: &str) -> Served {
    let bytes = harness::disk_image::qcow2(1 << 30, format!("{identifier} {version}").as_bytes());
    site.serve_as(identifier, version, Resource::bytes(bytes))
}

fn status(run: &Run) -> CloudTargetStatus {
    let object = run.directory.get::<CloudTarget>(&ObjectKey::new("default", "stack")).expect("the target is there");
    object.status.clone().expect("it has a status")
}

fn ready(run: &Run) -> String {
    harness::site::told(status(run).condition("Ready"))
}

fn at(run: &Run, identifier: &str) -> TargetStatus {
    run.image(identifier).expect("the image is there").targets[0].clone()
}

/// The image with the role `current`.
fn current(cloud: &OpenStack, identifier: &str) -> Image {
    let of = |image: &&Image| {
        let property = |name: &str| image.properties.get(name).map(String::as_str);
        property("vmcatcher_event_dc_identifier") == Some(identifier) && property("vmcatcher_role") == Some("current")
    };
    cloud.world(|world| world.images.values().find(of).cloned()).expect("a version is current")
}

/// Days go by: the cloud's clock and the site's.
fn pass_time(site: &Site, cloud: &OpenStack, time: SignedDuration) {
    site.pass_time(time);
    cloud.world(|world| world.advance(time.as_secs()));
}

#[tokio::test]
async fn an_image_is_published_updated_and_withdrawn() {
    let (site, cloud) = site();
    let old = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&old]));
    let run = site.run().await;
    assert_eq!(run.settled.errors, Vec::<String>::new());
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    let first = current(&cloud, A);
    assert_eq!((first.status.as_str(), first.visibility.as_str(), first.os_hidden), ("active", "private", false));
    assert_eq!(first.os_hash_value.as_deref(), Some(old.sha512.as_str()));
    assert_eq!(first.properties["vmcatcher_operator"], "site/default");
    assert_eq!(at(&run, A).id, Some(first.id.to_string()));
    let status = status(&run);
    assert_eq!((status.images, status.pending, ready(&run).as_str()), (1, 0, "True Succeeded"));

    // Nothing changed: a log-in and the listings of a new session, and no write.
    cloud.take_calls();
    site.run().await;
    let calls: Vec<String> = cloud.take_calls().iter().map(harness::openstack::Call::name).collect();
    assert_eq!(calls, ["POST /v3/auth/tokens", "GET /v2/images", "GET /v2/images"]);

    // The site shares it, and calls it something else.
    cloud.world(|world| {
        let image = world.image(first.id);
        (image.name, image.visibility) = (Some("our image".to_owned()), "community".to_owned());
        image.properties.insert("hw_disk_bus".to_owned(), "scsi".to_owned());
    });
    pass_time(&site, &cloud, SignedDuration::from_mins(5));
    let new = qcow2(&site, A, "2");
    site.publish(&site.list("1.1", &[&new]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    let second = current(&cloud, A);
    assert_eq!((second.name.as_deref(), second.visibility.as_str()), (Some("our image"), "community"));
    assert_eq!(second.properties["hw_disk_bus"], "scsi");
    assert_eq!((at(&run, A).version.as_deref(), at(&run, A).retired), (Some("2"), 1));
    cloud.world(|world| {
        let old = world.image(first.id);
        assert_eq!((old.visibility.as_str(), old.os_hidden, old.status.as_str()), ("private", true, "deactivated"));
        assert!(old.name.as_deref().is_some_and(|name| name.starts_with("our image_")), "{:?}", old.name);
    });

    // The list drops it: out of circulation, then its object goes.
    pass_time(&site, &cloud, SignedDuration::from_mins(5));
    let other = qcow2(&site, B, "1");
    site.publish(&site.list("1.2", &[&other]));
    let run = site.run().await;
    assert!(run.image(A).is_none());
    cloud.world(|world| assert!(world.image(second.id).os_hidden && world.image(second.id).visibility == "private"));
    assert_eq!(run.image_condition(B, "Published"), "True Published");
}

#[tokio::test]
async fn images_of_a_vo_are_shared_with_its_projects() {
    let (site, cloud) = site();
    let members = json!([{"vo": "atlas", "projectId": OPS}, {"vo": "atlas", "projectId": DTEAM}]);
    target(&site, &cloud, &json!({"initial": {"name": "Identifier", "voProjects": members}, "properties": {"a": "b"}}));
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]).with("ad:vo", json!("atlas")));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    let image = current(&cloud, A);
    let mut projects: Vec<&str> = image.members.iter().map(|member| member.project.as_str()).collect();
    projects.sort_unstable();
    let mut expected = [OPS, DTEAM];
    expected.sort_unstable();
    assert_eq!((image.visibility.as_str(), projects), ("shared", expected.to_vec()));
    assert_eq!((image.name.as_deref(), image.properties["a"].as_str()), (Some(A), "b"));
}

#[tokio::test]
async fn what_is_wrong_with_the_secret_or_the_cloud_is_named_and_recovers() {
    let (site, cloud) = site();
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    let clouds = |auth_url: &str| {
        let auth = json!({"auth_url": auth_url, "application_credential_id": VMCATCHER, "application_credential_secret": PASSWORD});
        json!({"clouds.yaml": json!({"clouds": {"egi": {"auth": auth, "region_name": "RegionOne"}}}).to_string()})
    };
    let wrong = json!({"application_credential_id": VMCATCHER, "application_credential_secret": "wrong"});
    let cases = [
        (json!({"one_auth": "a:b"}), json!({}), "False SecretInvalid"),
        (json!({"application_credential_id": VMCATCHER}), json!({}), "False SecretInvalid"),
        (wrong, json!({}), "False NotAuthorized"),
        (clouds("https://elsewhere.example.org/v3"), json!({}), "False SecretInvalid"),
        (clouds(&cloud.auth_url()), json!({"cloud": "other"}), "False SecretInvalid"),
        (clouds(&cloud.auth_url()), json!({"region": "Elsewhere"}), "False CloudUnreachable"),
    ];
    for (entries, fields, expected) in cases {
        secret(&site, &entries);
        target(&site, &cloud, &fields);
        let run = site.run().await;
        let ready = ready(&run);
        assert_eq!(ready, expected, "{fields}: {:?}", status(&run).conditions);
        assert!(!format!("{:?}", status(&run)).contains("wrong"), "a secret is shown");
        assert_eq!(cloud.world(|world| world.images.len()), 0);
    }
    secret(&site, &clouds(&cloud.auth_url()));
    target(&site, &cloud, &json!({"cloud": "egi"}));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    assert_eq!(current(&cloud, A).owner, PUBLISHER);
}

#[tokio::test]
async fn a_format_that_glance_does_not_have_is_refused_before_bytes_are_sent() {
    let (site, cloud) = site();
    cloud.world(|world| world.disk_formats.retain(|format| format != "qcow2"));
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False FormatNotAccepted", "{:?}", run.image(A));
    assert!(cloud.take_calls().iter().all(|call| call.name() != "PUT /v2/images/ID/file"));
    cloud.world(|world| assert!(world.images.is_empty()));
}

#[tokio::test]
async fn glance_pulls_an_image_where_the_site_wants_that() {
    let (site, cloud) = site();
    target(&site, &cloud, &json!({"handOver": {"type": "URL", "url": {"base": "http://127.0.0.1:9"}}}));
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    let run = site.run().await;
    assert_eq!((run.image_condition(A, "Published"), ready(&run)), {
        ("False NoImageServer".to_owned(), "False NoImageServer".to_owned())
    });
    cloud.world(|world| assert!(world.images.is_empty()));
}

#[tokio::test]
async fn a_suspended_target_makes_no_call() {
    let (site, cloud) = site();
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    let manifest = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": "stack"},
        "spec": {
            "type": "OpenStack", "suspend": true,
            "openStack": {"authUrl": cloud.auth_url(), "secretRef": {"name": "openstack"}},
        },
    });
    site.manifest("target", &manifest.to_string());
    let run = site.run().await;
    assert_eq!(ready(&run), "False Suspended");
    assert_eq!(cloud.take_calls().len(), 0);
}

/// Two targets lead to one cloud if address, region and Secret are the same, and to two if one of them is another.
#[tokio::test]
async fn two_targets_of_one_project_are_refused() {
    let (site, cloud) = site();
    let other = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": "another"},
        "spec": {"type": "OpenStack", "openStack": {"authUrl": cloud.auth_url(), "secretRef": {"name": "openstack"}}},
    });
    site.manifest("another", &other.to_string());
    assert_eq!(ready(&site.run().await), "False TargetConflict");
    let mut elsewhere = other.clone();
    elsewhere["spec"]["openStack"]["region"] = json!("RegionOne");
    site.manifest("another", &elsewhere.to_string());
    assert_eq!(ready(&site.run().await), "True Succeeded");
}
