//! The life of an image on real Glance: published, described anew, updated, pinned back, retired, revoked.

use harness::image_server::Resource;
use harness::openstack::RealOpenStack;
use harness::site::{Served, Site as Lists};
use jiff::SignedDuration;
use serde_json::{Value, json};
use vmcatcher_operator::openstack::Visibility;
use vmcatcher_operator::openstack::carry_over::Verdict;
use vmcatcher_operator::openstack::glance::{self, Change};

use super::site::{Site, Want, administrator, client, of_role, overview, person, property};

/// The one image of an identifier that is in circulation.
fn current(images: &std::collections::BTreeMap<String, Value>, identifier: &str) -> Value {
    let found = of_role(images, identifier, "current");
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_first_version_is_what_the_list_says() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::new(servers, "life");
    let id = site.published(Want("life-first", Some(1))).await;
    let image = current(&overview(servers, "vmcatcher"), "life-first");
    assert_eq!(image["id"], json!(id));
    assert_eq!(image["name"], "Image life-first");
    assert_eq!((&image["visibility"], &image["status"]), (&json!("private"), &json!("active")));
    assert_eq!((&image["is_hidden"], &image["is_protected"]), (&json!(false), &json!(false)));
    assert_eq!((&image["disk_format"], &image["container_format"]), (&json!("raw"), &json!("bare")));
    assert_eq!((&image["size"], &image["tags"]), (&json!(site.size), &json!(["vmcatcher"])));
    assert_eq!((&image["hash_algo"], &image["hash_value"]), (&json!("sha512"), &json!(site.digest(1).to_string())));
    let expected = [
        ("vmcatcher_event_dc_title", "Image life-first"),
        ("vmcatcher_event_hv_version", "4.1"),
        ("vmcatcher_event_sl_comments", "first"),
        ("vmcatcher_operator", "life/default"),
        ("os_distro", "ubuntu"),
        ("os_version", "22.04"),
        ("architecture", "x86_64"),
    ];
    for (name, value) in expected {
        assert_eq!(property(&image, name), value, "{name}");
    }
    assert_eq!(property(&image, "vmcatcher_event_sl_checksum_sha512"), site.digest(1).to_string());
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn new_metadata_and_a_way_back_need_no_upload() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::new(servers, "life");
    let identifier = "life-back";
    let first = site.published(Want(identifier, Some(1))).await;
    assert_eq!(site.take_done("upload"), 1);

    site.comment = "the same bytes in other words".to_owned();
    let same = site.published(Want(identifier, Some(1))).await;
    assert_eq!((same, site.done.len()), (first, 1), "one call: {:?}", site.done);
    assert_eq!(site.take_done("change"), 1);
    let image = current(&overview(servers, "vmcatcher"), identifier);
    assert_eq!(property(&image, "vmcatcher_event_sl_comments"), site.comment);
    assert_eq!(image["hash_value"], site.digest(1).to_string());

    let second = site.published(Want(identifier, Some(2))).await;
    assert_eq!(site.take_done("upload"), 1);
    let bus = Change::Add { name: "hw_disk_bus".to_owned(), value: glance::Value::Text("scsi".to_owned()) };
    let open = Change::Replace { name: "visibility".to_owned(), value: glance::Value::Text("community".to_owned()) };
    site.client.patch(second, &[bus, open]).await.unwrap();

    // A pin: the first image comes back, with what the site made of the second.
    assert_eq!(site.published(Want(identifier, Some(1))).await, first);
    assert_eq!(site.take_done("upload"), 0);
    let images = overview(servers, "vmcatcher");
    let image = current(&images, identifier);
    assert_eq!((&image["id"], &image["visibility"]), (&json!(first), &json!("community")));
    assert_eq!((&image["status"], &image["is_hidden"]), (&json!("active"), &json!(false)));
    assert_eq!((property(&image, "hw_disk_bus"), &image["name"]), ("scsi", &json!("Image life-back")));
    assert_eq!(image["tags"], json!(["vmcatcher"]));
    let old = of_role(&images, identifier, "retired");
    assert_eq!((old.len(), &old[0]["id"]), (1, &json!(second)));
    assert_eq!((&old[0]["visibility"], &old[0]["status"]), (&json!("private"), &json!("deactivated")));

    // The pin is gone, and the process is another one.
    site.restart();
    assert_eq!(site.published(Want(identifier, Some(2))).await, second);
    assert_eq!(site.take_done("upload"), 0);
    assert_eq!(current(&overview(servers, "vmcatcher"), identifier)["visibility"], "community");
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn what_is_not_wanted_is_out_of_reach_of_its_members_and_returns_to_them() {
    let servers = RealOpenStack::shared().await;
    let mut site = Site::of(client(&servers.auth_url, administrator(servers)), "life");
    let dteam = servers.projects["dteam"].clone();
    site.settings.visibility = Visibility::Shared;
    site.settings.shared_with = [dteam.clone(), servers.projects["ops"].clone()].into();
    let identifier = "life-retired";
    let id = site.published(Want(identifier, Some(1))).await;
    let member = client(&servers.auth_url, person(servers, "dteam-user", "dteam", "egi"));
    let accepted = vmcatcher_operator::openstack::MemberStatus::Accepted;
    member.set_member_status(id, &dteam, accepted).await.unwrap();

    let outcomes = site.converge(&[Want(identifier, None)]).await;
    assert_eq!(outcomes[0].verdict, Verdict::Retired);
    assert!(member.image(id).await.is_err(), "a former member does not see it");
    let images = overview(servers, "admin");
    assert!(of_role(&images, identifier, "current").is_empty());
    let old = of_role(&images, identifier, "retired")[0];
    assert_eq!((&old["status"], &old["is_hidden"]), (&json!("deactivated"), &json!(true)));
    assert!(property(old, "vmcatcher_remembered").contains(&dteam), "{old}");
    // What Glance keeps of the members of a private image shows when it is shared.
    let shared = Change::Replace { name: "visibility".to_owned(), value: glance::Value::Text("shared".to_owned()) };
    site.client.patch(id, &[shared]).await.unwrap();
    assert_eq!(site.client.members(id).await.unwrap(), []);

    assert_eq!(site.published(Want(identifier, Some(1))).await, id);
    let image = current(&overview(servers, "admin"), identifier);
    let ops = &servers.projects["ops"];
    assert_eq!(image["members"], json!({dteam.as_str(): "accepted", ops.as_str(): "pending"}));
    assert_eq!((&image["status"], &image["name"]), (&json!("active"), &json!("Image life-retired")));
}

/// A site with lists whose images go to the real cloud.
pub(super) fn lists(servers: &RealOpenStack, more: &Value) -> Lists {
    let site = Lists::new();
    let (id, secret) = (&servers.credentials["vmcatcher"], &servers.password);
    let entries = json!({"application_credential_id": id, "application_credential_secret": secret});
    let manifest =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openstack"}, "stringData": entries});
    site.manifest("secret", &manifest.to_string());
    target(&site, servers, more);
    site.subscribe("targetRefs: [{name: stack}]\n  retention: {keepVersions: 2, keepFor: 24h}");
    site
}

/// Its target, with these fields of `openStack`.
pub(super) fn target(site: &Lists, servers: &RealOpenStack, more: &Value) {
    let mut open_stack = json!({"authUrl": servers.auth_url, "secretRef": {"name": "openstack"}});
    open_stack.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let manifest = json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "CloudTarget", "metadata": {"name": "stack"},
        "spec": {"type": "OpenStack", "openStack": open_stack},
    });
    site.manifest("target", &manifest.to_string());
}

/// A qcow2 image of some MiB.
pub(super) fn qcow2(site: &Lists, identifier: &str, version: &str, length: usize) -> Served {
    let mut data = format!("{identifier} {version}").into_bytes();
    data.resize(length, 0);
    site.serve_as(identifier, version, Resource::bytes(harness::disk_image::qcow2(1 << 30, &data)))
}

/// From a list to its revocation, as a site has it.
#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn a_site_pins_and_revokes() {
    const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    let servers = RealOpenStack::shared().await;
    let site = lists(servers, &json!({}));
    let old = qcow2(&site, A, "1", 5000);
    site.publish(&site.list("1.0", &[&old]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    let at = |run: &harness::site::Run| run.image(A).unwrap().targets[0].id.clone().unwrap();
    let first = at(&run);
    site.pass_time(SignedDuration::from_mins(5));
    let new = qcow2(&site, A, "2", 5000);
    site.publish(&site.list("1.1", &[&new]));
    let second = at(&site.run().await);
    let images = overview(servers, "vmcatcher");
    assert_eq!(current(&images, A)["hash_value"], new.sha512);
    assert_eq!((&current(&images, A)["id"], of_role(&images, A, "retired").len()), (&json!(second), 1));

    let pin = format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}}}\nspec: {{subscriptionRef: {{name: \
         vo}}, identifier: {A}, version: '1'}}\n"
    );
    site.manifest("pin", &pin);
    let run = site.run().await;
    assert_eq!((run.image_condition(A, "Published").as_str(), at(&run)), ("True Published", first.clone()));
    let images = overview(servers, "vmcatcher");
    let ids = |images: &std::collections::BTreeMap<String, Value>| {
        let of = |image: &&Value| property(image, "vmcatcher_event_dc_identifier") == A;
        images.values().filter(of).map(|image| image["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&images).len(), 2, "the data of an image never change: so nothing was uploaded");
    assert_eq!(current(&images, A)["hash_value"], old.sha512);

    site.pass_time(SignedDuration::from_mins(5));
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    let run = site.run().await;
    assert_ne!(run.image_condition(A, "Published"), "True Published");
    let images = overview(servers, "vmcatcher");
    assert!(of_role(&images, A, "current").is_empty());
    let retired = of_role(&images, A, "retired");
    assert_eq!(retired.len(), 2);
    for image in retired {
        let found = (&image["status"], &image["visibility"], &image["is_hidden"]);
        assert_eq!(found, (&json!("deactivated"), &json!("private"), &json!(true)));
    }

    // A mistake: it is trusted again, and what is there is used.
    site.trust("endorser", &site.pki.endorser, "");
    let run = site.run().await;
    assert_eq!((run.image_condition(A, "Published").as_str(), at(&run)), ("True Published", first));
    assert_eq!(ids(&overview(servers, "vmcatcher")).len(), 2);
}
