//! From a signed list to an OpenNebula: a whole site with a cloud, run as a cron job would.

use harness::image_server::Resource;
use harness::opennebula::{Call, Cloud, Dialect, State};
use harness::site::{Run, Served, Site};
use jiff::SignedDuration;
use vmcatcher_operator::api::{CloudTarget, CloudTargetStatus, HasConditions, ObjectKey, TargetStatus};
use vmcatcher_operator::store::ResourceStore;

pub(crate) const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";
pub(crate) const ALICE: u32 = 2;

pub(super) const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: one-auth}\nstringData: {username: oneadmin, password: opennebula-test}\n";

pub(crate) fn target(site: &Site, cloud: &Cloud, name: &str, more: &str) {
    target_with(site, cloud, name, more, "retired: {deleteAfter: 48h}");
}

/// A target with these fields of `openNebula`.
pub(crate) fn target_with(site: &Site, cloud: &Cloud, name: &str, more: &str, fields: &str) {
    let (endpoint, prefix) = (cloud.endpoint(), site.path("volume"));
    let prefix = prefix.display();
    site.manifest(
        &format!("target-{name}"),
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: CloudTarget\nmetadata: {{name: {name}}}\nspec:\n  type: OpenNebula\n  {more}\n  \
             openNebula:\n    endpoint: {endpoint}\n    secretRef: {{name: one-auth}}\n    datastore: default\n    \
             handOver: {{type: Path, path: {{prefix: {prefix}}}}}\n    {fields}\n"
        ),
    );
}

/// A site whose images go to a cloud.
pub(crate) fn site(dialect: Dialect) -> (Site, Cloud) {
    let site = Site::new();
    let cloud = cloud(&site, dialect);
    site.manifest("secret", SECRET);
    target(&site, &cloud, "one", "");
    site.subscribe("targetRefs: [{name: one}]");
    (site, cloud)
}

/// A cloud that reads the site's volume.
pub(crate) fn cloud(site: &Site, dialect: Dialect) -> Cloud {
    let cloud = Cloud::start(dialect);
    cloud.world(|world| {
        world.clock = site.now().as_second();
        world.reads(&site.path("volume"));
        world.add_group(100, "sites");
        world.add_user(ALICE, "alice", "alicepw", 100);
    });
    cloud
}

pub(crate) fn qcow2(site: &Site, identifier: &str, version: &str) -> Served {
    let bytes = harness::disk_image::qcow2(1 << 30, format!("{identifier} {version}").as_bytes());
    site.serve_as(identifier, version, Resource::bytes(bytes))
}

fn status(run: &Run, name: &str) -> CloudTargetStatus {
    let object = run.directory.get::<CloudTarget>(&ObjectKey::new("default", name)).expect("the target is there");
    object.status.clone().expect("it has a status")
}

pub(crate) fn at(run: &Run, identifier: &str) -> TargetStatus {
    run.image(identifier).expect("the image is there").targets[0].clone()
}

pub(crate) fn writes(cloud: &Cloud) -> usize {
    cloud.take_calls().iter().filter(|call| call.is_write()).count()
}

#[tokio::test]
async fn an_image_is_published_updated_and_withdrawn() {
    let (site, cloud) = site(Dialect::V7_4);
    let old = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&old]));
    let run = site.run().await;
    assert_eq!(run.settled.errors, Vec::<String>::new());
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    let first = at(&run, A);
    assert_eq!(
        (first.id.as_deref(), first.image_name.as_deref(), first.version.as_deref()),
        (Some("0"), Some(A), Some("1"))
    );
    let target = status(&run, "one");
    assert!(target.is_true("Ready"));
    assert_eq!((target.server_version.as_deref(), target.images, target.pending), (Some("7.4.0"), 1, 0));
    cloud.world(|world| {
        let image = world.image(0);
        assert_eq!((image.uid, image.permissions, image.name.as_str()), (0, 0o600, A));
        assert_eq!(image.attributes["VMCATCHER_OPERATOR"], "site/default");
        assert_eq!(image.attributes["VMCATCHER_EVENT_SL_CHECKSUM_SHA512"], old.sha512);
        // The site makes it alice's, and everybody's to use.
        (image.uid, image.gid, image.permissions) = (ALICE, 100, 0o644);
    });

    // Nothing changed: three calls of a new session, one read of the pool, no write, and no status is written.
    let kept = site.volume_files();
    cloud.take_calls();
    site.run().await;
    let methods: Vec<String> = cloud.take_calls().into_iter().map(|call| call.method).collect();
    assert_eq!(methods, ["one.system.version", "one.user.info", "one.datastorepool.info", "one.imagepool.info"]);
    assert_eq!(site.volume_files().len(), kept.len());

    site.pass_time(SignedDuration::from_mins(5));
    let new = qcow2(&site, A, "2");
    site.publish(&site.list("1.1", &[&new]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published", "{:?}", run.image(A));
    let second = at(&run, A);
    assert_eq!((second.version.as_deref(), second.retired), (Some("2"), 1));
    cloud.world(|world| {
        let image = world.find(A, ALICE).expect("it carried the owner over");
        assert_eq!((image.gid, image.permissions, image.state), (100, 0o644, State::Ready));
        assert_eq!((world.image(0).uid, world.image(0).permissions), (0, 0o700));
    });

    // The list drops it: out of circulation, then its object goes.
    site.pass_time(SignedDuration::from_mins(5));
    let other = qcow2(&site, B, "1");
    site.publish(&site.list("1.2", &[&other]));
    let run = site.run().await;
    assert!(run.image(A).is_none());
    assert!(cloud.world(|world| world.named(A).is_empty()), "nothing has the name");
    assert_eq!(run.image_condition(B, "Published"), "True Published");
}

#[tokio::test]
async fn a_cloud_that_is_gone_holds_nothing_up_and_is_caught_up_with() {
    let (site, cloud) = site(Dialect::V7_4);
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    cloud.die_after(0);
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Cached"), "True Succeeded");
    assert_eq!(run.image_condition(A, "Published"), "False CloudUnreachable");
    assert_eq!(run.image_condition(A, "Ready"), "False CloudUnreachable");
    assert!(!status(&run, "one").is_true("Ready"));
    cloud.recover();
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published");
    cloud.die_after(0);
    let run = site.run().await;
    assert_eq!(
        run.image_condition(A, "Published"),
        "True Published",
        "what was there still is, as far as anybody knows"
    );
    assert!(!status(&run, "one").is_true("Ready"));
}

#[tokio::test]
async fn a_suspended_target_gets_not_one_call() {
    let (site, cloud) = site(Dialect::V7_4);
    target(&site, &cloud, "one", "suspend: true");
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False Suspended");
    assert_eq!(cloud.take_calls(), Vec::<Call>::new());
    target(&site, &cloud, "one", "");
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_told_and_recovers() {
    let (site, cloud) = site(Dialect::V7_4);
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    site.forget("secret");
    assert_eq!(site.run().await.image_condition(A, "Published"), "False SecretNotFound");
    site.manifest("secret", &SECRET.replace("opennebula-test", "wrong"));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False NotAuthorized");
    site.manifest("secret", SECRET);
    site.forget("target-one");
    assert_eq!(site.run().await.image_condition(A, "Published"), "False TargetNotFound");
    target(&site, &cloud, "one", "");
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    // A second target of the same cloud.
    target(&site, &cloud, "two", "");
    site.subscribe("targetRefs: [{name: one}, {name: two}]");
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False TargetConflict");
    assert!(status(&run, "one").is_true("Ready") && status(&run, "two").is_true("Stalled"));
}

#[tokio::test]
async fn a_target_that_is_named_no_more_loses_the_image_and_a_deleted_image_waits_for_it() {
    let (site, cloud) = site(Dialect::V7_4);
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    site.subscribe("targetRefs: []");
    let run = site.run().await;
    assert!(cloud.world(|world| world.named(A).is_empty()));
    assert_eq!(run.image_condition(A, "Published"), "True NoTargets");
    assert!(run.image(A).unwrap().targets.is_empty());
    site.subscribe("targetRefs: [{name: one}]\n  deletionPolicy: Retire");
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    assert_eq!(cloud.world(|world| world.images.len()), 1, "its retired image was taken back");
    site.forget("subscription-vo");
    let run = site.run().await;
    assert!(run.image(A).is_none());
    assert!(cloud.world(|world| world.named(A).is_empty()), "out of circulation before its object went");
}

#[tokio::test]
async fn an_import_is_waited_for() {
    let (site, cloud) = site(Dialect::V7_4);
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    // The copy ends when the stand-in was asked a few times how far it is.
    cloud.world(|world| (world.copy_seconds, world.read_seconds) = (Some(3), 1));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "True Published");
}

#[tokio::test]
async fn where_everything_goes_and_the_cloud_is_out_of_reach_for_good_an_image_is_let_go_after_ten_minutes() {
    let published = || async {
        let (site, cloud) = site(Dialect::V7_4);
        site.subscribe("targetRefs: [{name: one}]\n  deletionPolicy: Retire");
        let image = qcow2(&site, A, "1");
        site.publish(&site.list("1.0", &[&image]));
        assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
        site.forget("subscription-vo");
        site.forget("secret");
        (site, cloud)
    };
    // The Secret alone is gone: somebody may bring it back, however long that takes.
    let (site, cloud) = published().await;
    assert!(site.run().await.image(A).is_some());
    site.pass_time(SignedDuration::from_mins(11));
    assert!(site.run().await.image(A).is_some(), "a target that lacks its Secret is waited for");
    site.manifest("secret", SECRET);
    assert!(site.run().await.image(A).is_none());
    assert!(cloud.world(|world| world.named(A).is_empty()), "out of circulation");

    // All of it is gone.
    let (site, cloud) = published().await;
    site.forget("target-one");
    site.forget("endorser-endorser");
    // An empty folder is taken for a lost one.
    let elsewhere = "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: a, namespace: other}\nspec:\n  \
                     credentials: [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}]\n";
    site.manifest("elsewhere", elsewhere);
    assert!(site.run().await.image(A).is_some(), "not at once");
    site.pass_time(SignedDuration::from_mins(11));
    assert!(site.run().await.image(A).is_none());
    assert_eq!(site.shelf("endorsed"), [""; 0]);
    assert!(!cloud.world(|world| world.named(A).is_empty()), "what nobody can reach stays as it is");
}

#[tokio::test]
async fn a_deleted_target_leaves_what_is_there_and_is_taken_up_again() {
    let (site, cloud) = site(Dialect::V7_4);
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    cloud.take_calls();
    site.forget("target-one");
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False TargetNotFound");
    assert_eq!(at(&run, A).id.as_deref(), Some("0"), "what was published is remembered");
    assert_eq!(cloud.take_calls(), Vec::<Call>::new());
    // It is back, and so is everything: nothing is registered again.
    target(&site, &cloud, "one", "");
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    assert_eq!((writes(&cloud), cloud.world(|world| world.images.len())), (0, 1));
    // A new version while it is away comes when it is back.
    site.forget("target-one");
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.1", &[&qcow2(&site, A, "2")]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Published"), "False TargetNotFound");
    assert_eq!(at(&run, A).version.as_deref(), Some("1"));
    target(&site, &cloud, "one", "");
    assert_eq!(at(&site.run().await, A).version.as_deref(), Some("2"));
}

#[tokio::test]
async fn what_a_target_that_is_named_no_more_owes_is_done_when_it_can_be() {
    let (site, cloud) = site(Dialect::V7_4);
    let image = qcow2(&site, A, "1");
    site.publish(&site.list("1.0", &[&image]));
    site.run().await;
    cloud.take_calls();
    // Suspended: it stays in circulation and in the status, until the target may be called again.
    target(&site, &cloud, "one", "suspend: true");
    site.subscribe("targetRefs: []");
    let run = site.run().await;
    assert_eq!(cloud.take_calls(), Vec::<Call>::new());
    assert_eq!((at(&run, A).name.as_str(), at(&run, A).id.as_deref()), ("one", Some("0")));
    target(&site, &cloud, "one", "");
    cloud.die_after(0);
    assert_eq!(at(&site.run().await, A).id.as_deref(), Some("0"), "the cloud is gone");
    cloud.recover();
    let run = site.run().await;
    assert!(run.image(A).unwrap().targets.is_empty(), "{:?}", run.image(A));
    assert!(cloud.world(|world| world.named(A).is_empty()), "out of circulation");
    assert_eq!(run.image_condition(A, "Published"), "True NoTargets");
}
