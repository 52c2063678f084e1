//! The plan for a target, as values: a manifest through the real check, what was observed built in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::check::{Checked, CheckedCloud, check};
use super::credentials::Access;
use super::deletion::{Deletion, told};
use super::observe::{Observed, TargetImage};
use super::plan::{Requests, requests};
use crate::api::{CloudTarget, CloudTargetStatus, ObjectKey};
use crate::cloud::{Connection, StoredRecord};
use crate::opennebula;
use crate::reconcile::exchange::{Desired, DesiredState, Offer};
use crate::reconcile::fixtures::{IMAGE, blob, digest, listed, now};
use crate::reconcile::source::SourceError;

fn checked(more: &str) -> Checked {
    let manifest = format!(
        "metadata: {{name: one, namespace: n}}\nspec:\n  type: OpenNebula\n{more}  openNebula:\n    endpoint: \
         https://one.example.org/RPC2\n    secretRef: {{name: one-auth}}\n    datastore: default\n    handOver: {{type: \
         Path, path: {{prefix: /volume}}}}\n"
    );
    let object: CloudTarget = serde_yaml::from_str(&manifest).unwrap();
    check(&object, "site").unwrap()
}

fn connection() -> Arc<dyn Connection> {
    let CheckedCloud::OpenNebula(settings) = checked("").cloud else { panic!("it is an OpenNebula") };
    let endpoint = "https://one.example.org/RPC2".parse().unwrap();
    let connection = opennebula::transport::Connection::new(endpoint, "oneadmin:secret".to_owned().into());
    Arc::new(opennebula::Target { connection, settings: *settings })
}

fn lost() -> SourceError {
    SourceError::SecretNotFound { key: ObjectKey::new("n", "one-auth") }
}

fn publish(version: u8, has_bytes: bool) -> DesiredState {
    DesiredState::Publish(Arc::new(Offer {
        image: listed(IMAGE, version),
        sha512: digest(version),
        list: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
        vo: None,
        blob: has_bytes.then(|| blob(version)),
    }))
}

fn wanted(state: DesiredState) -> TargetImage {
    let at = BTreeMap::from([("one".to_owned(), state)]);
    let desired =
        Desired { identifier: IMAGE.parse().unwrap(), at, adopt: None, asked: false, held: false, revoked: false };
    TargetImage { image: ObjectKey::new("n", IMAGE), desired, record: StoredRecord::default(), needed: None }
}

fn observed(states: Vec<DesiredState>) -> Observed {
    Observed {
        status: CloudTargetStatus::default(),
        wanted: states.into_iter().map(wanted).collect(),
        access: Access::Given(connection()),
        there: BTreeSet::new(),
        other: None,
        deletion: Deletion::Stays { unheld: false, used: true },
        image_paths: None,
        last: None,
    }
}

/// One case: what is special about it, more of the spec, what images want, what else there is, and the printed plan.
type Case = (&'static str, &'static str, Vec<DesiredState>, fn(&mut Checked, &mut Observed), &'static str);

#[test]
fn the_plan_of_each_case() {
    use DesiredState::{Leave, Release, Withdraw};
    let table: Vec<Case> = vec![
        ("no image", "", vec![], |_, _| {}, "ask the cloud: "),
        ("a version", "", vec![publish(2, true)], |_, _| {}, "ask the cloud: publish IMAGE 2 as raw"),
        (
            "its bytes are not there",
            "",
            vec![publish(2, false)],
            |_, _| {},
            "ask the cloud: publish IMAGE 2 later (its bytes are not there)",
        ),
        (
            "a format that is not accepted",
            "  formats: [qcow2]\n",
            vec![publish(2, true)],
            |_, _| {},
            "ask the cloud: publish IMAGE 2 later (FormatNotAccepted)",
        ),
        (
            "several",
            "",
            vec![Withdraw, Leave, Release],
            |_, _| {},
            "ask the cloud: retire IMAGE, leave an image as it is, leave an image as it is",
        ),
        ("suspended", "  suspend: true\n", vec![Withdraw], |_, _| {}, "no call: Suspended: suspended: no call is made"),
        (
            "another target of the cloud",
            "",
            vec![publish(2, true)],
            |_, o| o.other = Some("first".to_owned()),
            "no call: TargetConflict: expected one target for each cloud, found that first leads to the same",
        ),
        (
            "no Secret",
            "",
            vec![Withdraw],
            |_, o| o.access = Access::Refused(lost()),
            "no call: SecretNotFound: expected the Secret n/one-auth, found none",
        ),
        (
            "a Secret that is lost: images are retired, and nothing else is done",
            "",
            vec![publish(2, true), Withdraw],
            |_, o| o.access = Access::Before(connection(), lost()),
            "ask the cloud: leave an image as it is, retire IMAGE (SecretNotFound: expected the Secret n/one-auth, found \
             none)",
        ),
        (
            "a Secret that is lost, and nothing to retire",
            "",
            vec![publish(2, true)],
            |_, o| o.access = Access::Before(connection(), lost()),
            "no call: SecretNotFound: expected the Secret n/one-auth, found none",
        ),
        (
            "deleted: nothing new where nothing stays",
            "",
            vec![publish(2, true), Withdraw],
            |c, _| c.deleting = Some(now()),
            "ask the cloud: leave an image as it is, retire IMAGE",
        ),
        ("deleted, and nothing to retire", "", vec![Leave], |c, _| c.deleting = Some(now()), "no call: Deleting: "),
    ];
    for (name, more, states, change, expected) in table {
        let (mut checked, mut observed) = (checked(more), observed(states));
        change(&mut checked, &mut observed);
        assert_eq!(requests(&checked, &observed, now()).to_string(), expected.replace("IMAGE", IMAGE), "{name}");
    }
}

#[test]
fn a_try_that_a_person_asks_for_forgets_earlier_failures() {
    for asked in [false, true] {
        let mut observed = observed(vec![publish(2, true)]);
        observed.wanted[0].desired.asked = asked;
        observed.wanted[0].record.failures = 3;
        let Requests::Ask { requests, .. } = requests(&checked(""), &observed, now()) else {
            panic!("the cloud is asked")
        };
        assert_eq!(requests[0].request.as_ref().unwrap().record.failures, if asked { 0 } else { 3 });
    }
}

/// The images and subscriptions that it is held for, how many of them are named still, an obstacle, and the message.
type Held<'a> = (&'a [String], &'a [String], usize, &'a str, &'a str);

#[test]
fn a_deleted_target_says_what_it_is_held_for() {
    let (image, vo) = ([IMAGE.to_owned()], ["vo".to_owned()]);
    let table: [Held<'_>; 4] = [
        (&[], &[], 0, "", "being deleted, and held until a pass over each image has ended"),
        (&[], &vo, 0, "", "being deleted, and held until the list in force of the ImageListSubscription vo is read"),
        (
            &image,
            &vo,
            0,
            "no answer",
            "being deleted, and held for 1 image, until out of circulation: IMAGE; no answer",
        ),
        (
            &image,
            &[],
            1,
            "",
            "being deleted, and held for 1 image, until out of circulation: IMAGE; 1 image to be retired with the object \
             (deletionPolicy Retire): delete that, or take the target out of targetRefs",
        ),
    ];
    for (images, unread, retiring, obstacle, expected) in table {
        assert_eq!(told(images, unread, retiring, obstacle), expected.replace("IMAGE", IMAGE));
    }
}

fn any_state() -> impl Strategy<Value = DesiredState> {
    prop_oneof![
        (1_u8..4, any::<bool>()).prop_map(|(version, has_bytes)| publish(version, has_bytes)),
        Just(DesiredState::Withdraw),
        Just(DesiredState::Leave),
        Just(DesiredState::Release),
    ]
}

proptest! {
    /// The same twice. An image is retired only where it says so, and published only where it says so and the target and
    /// its Secret stay.
    #[test]
    fn nothing_is_asked_that_no_image_wants(
        states in prop::collection::vec(any_state(), 0..5), access in 0_u8..3, suspend in any::<bool>(), deleting in any::<bool>(),
    ) {
        let mut checked = checked(if suspend { "  suspend: true\n" } else { "" });
        checked.deleting = deleting.then(now);
        let mut observed = observed(states.clone());
        match access {
            0 => {}
            1 => observed.access = Access::Before(connection(), lost()),
            _ => observed.access = Access::Refused(lost()),
        }
        let made = requests(&checked, &observed, now());
        prop_assert_eq!(made.to_string(), requests(&checked, &observed, now()).to_string());
        let Requests::Ask { requests, .. } = made else { return Ok(()) };
        prop_assert!(!suspend && access < 2 && requests.len() == states.len());
        for (asked, state) in requests.iter().zip(&states) {
            match &asked.request {
                Some(request) if request.wanted.is_none() => prop_assert_eq!(state, &DesiredState::Withdraw),
                Some(_) => prop_assert!(matches!(state, DesiredState::Publish(_)) && !deleting && access == 0),
                None => prop_assert!(deleting || access == 1 || *state != DesiredState::Withdraw),
            }
        }
    }
}
