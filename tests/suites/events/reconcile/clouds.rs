//! Events of clouds, and what handlers can keep from a cloud.

use harness::opennebula::{Cloud, Dialect, State};

use super::place::{A, B, Place};
use super::vetoes::status;
use crate::reconcile::targets::{self, qcow2};

fn place() -> (Place, Cloud) {
    let (site, cloud) = targets::site(Dialect::V7_4);
    (Place::over(site), cloud)
}

/// The lines about clouds.
fn of_clouds(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| line.starts_with("Publish") || line.starts_with("Retire")).collect()
}

/// The entry of the target in the status of an image: its version, and the reason of its condition.
fn at(place: &Place, identifier: &str) -> (Option<String>, String) {
    let status = &status(place, identifier)["targets"][0];
    let version = status["version"].as_str().map(str::to_owned);
    (version, status["conditions"][0]["reason"].as_str().unwrap().to_owned())
}

#[test]
fn a_cloud_gets_an_image_and_its_successor_and_loses_it() {
    let (place, cloud) = place();
    let old = qcow2(&place.site, A, "1");
    place.site.publish(&place.site.list("1.0", &[&old]));
    let run = place.good_run();
    assert_eq!(of_clouds(run.handled_of(A)), ["PublishPrefix 1", "PublishPostfix 1"], "{run:?}");
    assert_eq!(of_clouds(run.lines_of(A)), ["Publish after at one 1"]);
    for event in ["PublishPrefix", "PublishPostfix"] {
        let event = run.of(event, A);
        assert_eq!(
            (&event["VMCATCHER_OPERATOR_TARGET"], &event["VMCATCHER_EVENT_HV_URI"]),
            (&"one".to_owned(), &old.uri)
        );
    }
    place.good_run().assert_only_process();

    let new = qcow2(&place.site, A, "2");
    place.site.publish(&place.site.list("1.1", &[&new]));
    let run = place.good_run();
    let expected = ["PublishPrefix 2", "RetirePrefix 1", "PublishPostfix 2", "RetirePostfix 1"];
    assert_eq!(of_clouds(run.handled_of(A)), expected, "{run:?}");
    assert_eq!(of_clouds(run.lines_of(A)), ["Publish after at one 2", "Retire after at one 1"]);
    assert_eq!(run.of("RetirePostfix", A)["VMCATCHER_EVENT_HV_URI"], old.uri);
    place.good_run().assert_only_process();

    place.site.publish(&place.site.list("1.2", &[]));
    let run = place.good_run();
    assert_eq!(of_clouds(run.handled_of(A)), ["RetirePrefix 2", "RetirePostfix 2"], "{run:?}");
    assert_eq!(of_clouds(run.lines_of(A)), ["Retire after at one 2"]);
    cloud.world(|world| assert!(world.images.values().all(|image| image.state == State::Disabled)));
    place.good_run().assert_only_process();
}

#[test]
fn an_image_that_is_taken_from_a_cloud_is_retired_there() {
    let (place, _cloud) = place();
    let image = qcow2(&place.site, A, "1");
    place.site.publish(&place.site.list("1.0", &[&image]));
    place.good_run();
    place.site.subscribe("");
    let run = place.good_run();
    assert_eq!(run.handled_of(A), ["RetirePrefix 1", "RetirePostfix 1"], "{run:?}");
    assert_eq!(run.lines(), ["Retire after at one 1", "Process after"], "{run:?}");
    place.good_run().assert_only_process();
}

#[test]
fn a_veto_keeps_an_image_from_a_cloud_and_no_other() {
    let (place, cloud) = place();
    let (a, b) = (qcow2(&place.site, A, "1"), qcow2(&place.site, B, "1"));
    place.site.publish(&place.site.list("1.0", &[&a, &b]));
    place.refuse("PublishPrefix", A, "no room in this cloud");
    let run = place.run_with(1);
    assert_eq!(place.site.shelf("endorsed"), [a.entry(), b.entry()], "the cache has both");
    assert_eq!((at(&place, A), at(&place, B).0), ((None, "HookVetoed".to_owned()), Some("1".to_owned())));
    assert!(status(&place, A).to_string().contains("no room in this cloud"), "{}", status(&place, A));
    let expected = ["SubscriptionImageNew after 1", "Available after 1", "HookVetoed after at one 1"];
    assert_eq!(run.lines_of(A), expected, "{run:?}");
    assert_eq!(cloud.world(|world| world.images.len()), 1);
    place.permit("PublishPrefix", A);
    let run = place.good_run();
    assert_eq!(of_clouds(run.lines_of(A)), ["Publish after at one 1"], "{run:?}");

    let new = qcow2(&place.site, A, "2");
    place.site.publish(&place.site.list("1.1", &[&new, &b]));
    place.refuse("RetirePrefix", A, "a machine needs it");
    let run = place.run_with(1);
    assert_eq!(at(&place, A), (Some("1".to_owned()), "HookVetoed".to_owned()), "{run:?}");
    place.permit("RetirePrefix", A);
    let run = place.good_run();
    assert_eq!(of_clouds(run.lines_of(A)), ["Publish after at one 2", "Retire after at one 1"], "{run:?}");
}

#[test]
fn a_version_that_may_not_enter_the_cache_does_not_enter_a_cloud() {
    let (place, cloud) = place();
    let old = qcow2(&place.site, A, "1");
    place.site.publish(&place.site.list("1.0", &[&old]));
    place.good_run();
    let new = qcow2(&place.site, A, "2");
    place.site.publish(&place.site.list("1.1", &[&new]));
    place.refuse("AvailablePrefix", A, "not this one");
    cloud.take_calls();
    let run = place.run_with(1);
    assert_eq!(targets::writes(&cloud), 0, "{run:?}");
    assert_eq!(at(&place, A).0.as_deref(), Some("1"));
    assert_eq!(place.site.shelf("endorsed"), [old.entry()]);
    place.permit("AvailablePrefix", A);
    let run = place.good_run();
    assert_eq!(of_clouds(run.lines_of(A)), ["Publish after at one 2", "Retire after at one 1"], "{run:?}");
}

#[test]
fn a_veto_does_not_keep_the_image_of_a_revoked_signer_in_a_cloud() {
    let (place, cloud) = place();
    let image = qcow2(&place.site, A, "1");
    place.site.publish(&place.site.list("1.0", &[&image]));
    place.good_run();
    for event in ["ExpirePrefix", "RetirePrefix"] {
        place.refuse(event, A, "a machine needs it");
    }
    place.site.trust("endorser", &place.site.pki.endorser, "trust: Revoked");
    let run = place.run_with(1);
    assert_eq!(of_clouds(run.handled_of(A)), ["RetirePrefix 1", "RetirePostfix 1"], "{run:?}");
    cloud.world(|world| assert_eq!(world.image(0).state, State::Disabled));
    assert_eq!(place.site.shelf("expired"), [image.entry()]);
}
