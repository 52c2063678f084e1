//! A target whose object is deleted: what it still owes to images that name it no more is done before it goes.

use harness::opennebula::{Cloud, Dialect, Fault, State};
use harness::site::{Run, Site};
use vmcatcher_operator::api::{CloudTarget, HasConditions, ObjectKey};
use vmcatcher_operator::store::ResourceStore as _;

use super::cuts::{cut_everywhere, run_cut};
use super::targets::{A, at, qcow2, site, target, writes};

/// A site with an image that is published at the target `one`.
async fn published() -> (Site, Cloud) {
    let (site, cloud) = site(Dialect::V7_4);
    site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
    cloud.take_calls();
    (site, cloud)
}

/// The target is named no more and deleted, before anything of it was done.
fn drop_and_delete(site: &Site) {
    site.subscribe("targetRefs: []");
    site.forget("target-one");
}

fn one(run: &Run) -> Option<std::sync::Arc<CloudTarget>> {
    run.directory.get::<CloudTarget>(&ObjectKey::new("default", "one"))
}

/// Why the target is still there.
fn held(run: &Run) -> (String, String) {
    let object = one(run).expect("it is held");
    let ready = object.status.as_ref().and_then(|status| status.condition("Ready")).expect("it says how it stands");
    (ready.reason.clone(), ready.message.clone())
}

/// Images that are not put away: in circulation, on their way, or half retired.
pub(super) fn in_circulation(cloud: &Cloud) -> usize {
    let put_away = |image: &&harness::opennebula::Image| {
        let retired = image.attributes["VMCATCHER_ROLE"] == "retired" && image.state == State::Disabled;
        retired && image.name != A && image.permissions == 0o700
    };
    cloud.world(|world| world.images.values().filter(|image| !put_away(image)).count())
}

#[tokio::test]
async fn a_target_that_is_dropped_and_deleted_at_once_takes_its_images_out_of_circulation() {
    let (site, cloud) = published().await;
    drop_and_delete(&site);
    let run = site.run().await;
    assert_eq!(run.settled.errors, Vec::<String>::new());
    assert_eq!((cloud.world(|world| world.named(A).len()), in_circulation(&cloud)), (0, 0));
    assert!(one(&run).is_none(), "and goes");
    assert_eq!(run.image_condition(A, "Published"), "True NoTargets");
    assert!(run.image(A).unwrap().targets.is_empty());
}

/// Sites whose runs are cut at the same time.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn cut_after_every_call_it_is_finished_by_the_next_run() {
    let cuts = cut_everywhere(AT_ONCE, cut_after).await;
    assert!(cuts > 6, "{cuts} calls");
}

/// Whether the run was cut after so many calls.
async fn cut_after(calls: usize) -> bool {
    let (site, cloud) = published().await;
    drop_and_delete(&site);
    cloud.die_after(calls);
    let run = site.run().await;
    let gone = one(&run).is_none();
    // It goes once the cloud was seen to have done it.
    assert!(!gone || in_circulation(&cloud) == 0, "after {calls} calls");
    if gone {
        return false;
    }
    let (reason, message) = held(&run);
    assert!(["CloudUnreachable", "Deleting"].contains(&reason.as_str()), "{reason}");
    assert!(message.contains("being deleted") && message.contains(A), "{message}");
    cloud.recover();
    let run = site.run().await;
    assert_eq!((one(&run).is_none(), in_circulation(&cloud)), (true, 0), "after {calls} calls");
    assert!(run.image(A).unwrap().targets.is_empty());
    true
}

#[tokio::test]
async fn cut_at_every_step_of_the_volume_nothing_is_left_behind() {
    std::panic::set_hook(Box::new(|_| {})); // the cuts are meant
    let cuts = cut_everywhere(AT_ONCE, cut_at).await;
    let _ = std::panic::take_hook();
    assert!(cuts > 3, "{cuts} steps");
}

/// Whether the run was cut at that step of the volume.
async fn cut_at(step: usize) -> bool {
    let (site, cloud) = published().await;
    drop_and_delete(&site);
    let whole = run_cut(&site, step).await;
    let run = site.run().await;
    let told = (one(&run).is_none(), in_circulation(&cloud), run.image(A).unwrap().targets.len());
    if told != (true, 0, 0) {
        let _ = std::panic::take_hook();
        panic!("cut at step {step}: {told:?}");
    }
    !whole
}

#[tokio::test]
async fn an_upload_that_runs_when_its_target_is_dropped_is_given_up() {
    for deleted in [false, true] {
        let (site, cloud) = site(Dialect::V7_4);
        cloud.world(|world| world.copy_seconds = None);
        site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
        // The run is ended while the cloud copies, as a cron job is by its time limit.
        let registered = async {
            while cloud.world(|world| world.images.is_empty()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = site.run() => unreachable!("the copy never ends"),
            () = registered => {}
        }
        site.subscribe("targetRefs: []");
        if deleted {
            site.forget("target-one");
        }
        let run = site.run().await;
        assert_eq!(cloud.world(|world| world.images.len()), 0, "deleted {deleted}");
        assert_eq!(one(&run).is_none(), deleted);
        assert!(run.image(A).unwrap().targets.is_empty());
    }
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_given_up_as_well() {
    let (site, cloud) = site(Dialect::V7_4);
    site.subscribe("");
    site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
    assert_eq!(site.run().await.image_condition(A, "Cached"), "True Succeeded");
    site.subscribe("targetRefs: [{name: one}]");
    // A session is three calls, the pool one; the next one registers.
    cloud.fail(4, Fault::LoseAnswer);
    cloud.die_after(5);
    let run = site.run().await;
    assert_eq!((at(&run, A).id, cloud.world(|world| world.images.len())), (None, 1), "nobody knows of it");
    cloud.recover();
    drop_and_delete(&site);
    let run = site.run().await;
    assert_eq!((one(&run).is_none(), cloud.world(|world| world.images.len())), (true, 0));
}

#[tokio::test]
async fn another_target_of_the_same_cloud_takes_over_without_a_gap() {
    let (site, cloud) = published().await;
    cloud.watch(|_, world| world.named(A).is_empty().then(|| "no image has the name".to_owned()));
    target(&site, &cloud, "two", "");
    site.subscribe("targetRefs: [{name: two}]");
    site.forget("target-one");
    let run = site.run().await;
    assert_eq!(cloud.seen(), Vec::<String>::new());
    assert_eq!(
        (run.image_condition(A, "Published"), at(&run, A).name),
        ("True Published".to_owned(), "two".to_owned())
    );
    assert_eq!((at(&run, A).id.as_deref(), writes(&cloud)), (Some("0"), 0));
    assert!(one(&run).is_none());
}

#[tokio::test]
async fn a_target_that_cannot_be_asked_is_held_and_comes_back_with_its_manifest() {
    let (site, cloud) = published().await;
    target(&site, &cloud, "one", "suspend: true");
    site.subscribe("targetRefs: []");
    site.run().await;
    site.forget("target-one");
    let run = site.run().await;
    let (reason, message) = held(&run);
    assert_eq!(reason, "Suspended");
    assert!(message.contains("being deleted") && message.contains(A), "{message}");
    assert_eq!(writes(&cloud), 0);
    target(&site, &cloud, "one", "");
    let run = site.run().await;
    assert!(one(&run).unwrap().status.as_ref().unwrap().is_true("Ready"), "it is as any other");
    assert_eq!(in_circulation(&cloud), 0);
    site.forget("target-one");
    assert!(one(&site.run().await).is_none());
}

#[tokio::test]
async fn a_target_that_owes_nothing_goes_at_once_whatever_is_the_matter_with_it() {
    for more in ["suspend: true", "formats: []"] {
        let (site, cloud) = published().await;
        target(&site, &cloud, "one", more);
        site.run().await;
        site.forget("target-one");
        site.forget("secret");
        cloud.take_calls();
        let run = site.run().await;
        assert!(one(&run).is_none(), "{more}");
        assert!(cloud.take_calls().is_empty());
        assert_eq!(run.image_condition(A, "Published"), "False TargetNotFound");
        assert_eq!(
            cloud.world(|world| (world.image(0).name.clone(), world.image(0).state)),
            (A.to_owned(), State::Ready)
        );
    }
}
