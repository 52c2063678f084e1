//! Images that leave circulation at a cloud where the operator's user may not do everything: what is done all the same,
//! and that nothing is silent about the rest.

use harness::opennebula::{Cloud, Dialect, State};
use harness::site::{Site, told};
use jiff::SignedDuration;
use vmcatcher_operator::api::HasConditions;

use super::process::Running;
use super::targets::{A, ALICE, B, SECRET, at, qcow2, site, target_with};

/// What it takes out of circulation stays the user's.
const OWN: &str = "owner: catcher, group: users";

/// The operator's user there is one of the group `users`, and its retired images stay its own.
fn as_a_user(site: &Site, cloud: &Cloud, retired: &str) {
    cloud.world(|world| world.add_user(8, "catcher", "catcherpw", 1));
    site.manifest("secret", &SECRET.replace("oneadmin", "catcher").replace("opennebula-test", "catcherpw"));
    target_with(site, cloud, "one", "", &format!("retired: {{{retired}}}"));
}

#[tokio::test]
async fn a_withdrawn_image_is_held_until_it_is_out_of_circulation_and_not_longer() {
    for (retired, complete) in [(OWN, true), ("", false)] {
        let (site, cloud) = site(Dialect::V7_4);
        as_a_user(&site, &cloud, retired);
        site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
        assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
        cloud.world(|world| world.image(0).permissions = 0o644);
        site.pass_time(SignedDuration::from_mins(5));
        site.publish(&site.list("1.1", &[&qcow2(&site, B, "1")]));
        for _ in 0..2 {
            let run = site.run().await;
            let image = cloud.world(|world| world.image(0).clone());
            assert_eq!((image.state, image.permissions), (State::Disabled, 0o600), "closed, whatever else");
            if complete {
                assert!(run.image(A).is_none(), "{:?}", run.image(A));
            } else {
                assert_eq!(told(at(&run, A).condition("Published")), "False NotAuthorized");
                assert!(!run.image(A).unwrap().is_true("Ready"), "so the exit code is 1");
            }
        }
    }
}

#[tokio::test]
async fn an_old_version_that_could_not_be_given_away_keeps_its_image_from_being_ready() {
    let (site, cloud) = site(Dialect::V7_4);
    as_a_user(&site, &cloud, "");
    site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
    assert_eq!(site.run().await.image_condition(A, "Ready"), "True Succeeded");
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.1", &[&qcow2(&site, A, "2")]));
    for _ in 0..2 {
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Published"), "True Published");
        assert_eq!(run.image_condition(A, "Ready"), "False NotAuthorized");
        let condition = at(&run, A).condition("Retired").cloned().expect("it says what is missing");
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "NotAuthorized"));
        assert!(condition.message.contains("image 0 is not completely out of circulation"), "{}", condition.message);
    }
    as_a_user(&site, &cloud, OWN);
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert!(at(&run, A).condition("Retired").is_none());
}

#[tokio::test]
async fn an_image_that_is_hidden_is_not_registered_again() {
    let (site, cloud) = site(Dialect::V7_4);
    as_a_user(&site, &cloud, OWN);
    site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
    site.run().await;
    cloud.world(|world| world.image(0).uid = ALICE);
    for _ in 0..2 {
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Published"), "False NotAuthorized");
        assert!(at(&run, A).conditions[0].message.contains("image 0, which was published from here, is hidden"));
        assert_eq!(cloud.world(|world| world.images.len()), 1);
    }
    cloud.world(|world| world.image(0).uid = 8);
    assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
}

#[test]
fn an_old_version_that_could_not_be_given_away_is_an_event() {
    let (site, cloud) = site(Dialect::V7_4);
    as_a_user(&site, &cloud, "");
    let run = || tokio::runtime::Runtime::new().unwrap().block_on(site.run());
    site.publish(&site.list("1.0", &[&qcow2(&site, A, "1")]));
    assert_eq!(run().image_condition(A, "Ready"), "True Succeeded");
    site.publish(&site.list("1.1", &[&qcow2(&site, A, "2")]));
    let all = "images: {include: {match: [{name: all}]}}\n  targetRefs: [{name: one}]";
    site.subscribe_with("vo", "now", &site.server.url("/image.list"), all);
    let mut running = Running::start_with(&site, &["--instance", "site"]);
    let told = running.wait_for("RetirementIncomplete");
    let line = told.lines().last().unwrap();
    assert!(
        line.contains("image 0 is not completely out of circulation") && line.contains("expected owner oneadmin"),
        "{line}"
    );
    assert!(running.terminate().success());
}
