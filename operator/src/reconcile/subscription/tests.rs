//! The plan for a subscription, as values: a manifest through the real check, what was observed and judged built in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::check::{Checked, check};
use super::fetched::Fetched;
use super::judge::{Judged, Newest, Verdict};
use super::memory::ListMemory;
use super::observe::{Observed, address};
use super::plan::{self, Plan, plan};
use super::schedule::{FetchFailure, next_fetch};
use super::step::Step;
use super::stored::{Before, Stored};
use crate::api::{CachedImage, ImageListSubscription, ImageListSubscriptionStatus};
use crate::cache::CacheError;
use crate::events::EventSettings;
use crate::fetch::Document;
use crate::imagelist::{ImageList, ListedImage};
use crate::reconcile::backoff::spread;
use crate::reconcile::context::Settings;
use crate::reconcile::exchange::{Force, Message};
use crate::reconcile::fixtures::{list, listed, now};
use crate::trust::{AcceptedList, AlgorithmPolicy, Anchors, Refusal, RefusalReason, Sha256Digest, VerifiedList};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn checked(more: &str) -> Checked {
    let manifest = format!(
        "metadata: {{name: vo, namespace: n}}\nspec:\n  source: {{url: \"https://example.org/list\"}}\n  verify: \
         {{endorserRefs: [{{name: erin}}]}}\n  images: {{include: {{match: [{{name: all}}]}}}}\n{more}"
    );
    let object: ImageListSubscription = serde_yaml::from_str(&manifest).unwrap();
    let settings = Settings {
        trust_directory: PathBuf::new(),
        instance: "site".to_owned(),
        algorithms: AlgorithmPolicy::default(),
        allow_auto_endorse: false,
        events: EventSettings::default(),
    };
    check(&object, &settings).unwrap()
}

/// An object of the subscription; whether its image is endorsed and cached.
fn object(identifier: &str, cached: bool) -> Arc<CachedImage> {
    let time = "2026-06-01T00:00:00Z";
    let status = if cached {
        format!(
            "status: {{conditions: [{{type: Endorsed, status: 'True', reason: Endorsed, message: m, lastTransitionTime: \
             '{time}'}}], artifact: {{path: p, version: '1', sha512: x, size: 1, format: raw, lastVerifiedTime: '{time}'}}}}"
        )
    } else {
        String::new()
    };
    let manifest = format!(
        "metadata: {{name: {identifier}, namespace: n, labels: {{vmcatcher.io/subscription: vo}}, ownerReferences: \
         [{{apiVersion: vmcatcher.io/v1alpha1, kind: ImageListSubscription, name: vo, uid: u, controller: true}}]}}\nspec: \
         {{identifier: {identifier}, subscriptionRef: {{name: vo}}}}\n{status}"
    );
    Arc::new(serde_yaml::from_str(&manifest).unwrap())
}

fn observed(images: Vec<Arc<CachedImage>>) -> Observed {
    Observed {
        status: ImageListSubscriptionStatus::default(),
        rules: Vec::new(),
        unusable: Vec::new(),
        revoked: Vec::new(),
        first_signer: None,
        anchors: Arc::new(Anchors::default()),
        algorithms: AlgorithmPolicy::default(),
        memory: None,
        behind: false,
        stored: None,
        look_back: false,
        on_volume: None,
        older: Vec::new(),
        rebuild_from: None,
        trouble: None,
        fetched: Fetched::NotAsked,
        server_time: None,
        pending: None,
        images,
        asked_for: None,
    }
}

fn message() -> Message {
    let document = Document::in_memory(b"message".to_vec());
    Message { document, validator: None, beside: Vec::new(), came: String::new() }
}

/// A list of this version with these images.
fn of(version: u8, images: &[&str]) -> ImageList {
    let images: Vec<ListedImage> = images.iter().map(|identifier| listed(identifier, version)).collect();
    list(version, images)
}

fn newest(outcome: Result<ImageList, Refusal>) -> Newest {
    let verdict = Verdict::Verified(Box::new(outcome.map(VerifiedList::for_tests)));
    Newest { message: message(), digest: Sha256Digest::of(b"message"), verdict }
}

/// What was judged: the list before, and the newest message.
fn judged(checked: &Checked, before: Option<ImageList>, newest: Option<Newest>) -> Judged {
    let before = before.map(|list| AcceptedList::for_tests(list, now()));
    let memory = before.as_ref().map(|list| ListMemory {
        last: list.last_accepted(),
        message: list.message_digest(),
        validator: None,
        beside: Vec::new(),
        address: address(checked),
        taken: None,
        older: Vec::new(),
    });
    let before = before.map_or(Before::None, Before::InForce);
    let stored = Stored { before, older: Vec::new(), withdrawn: Vec::new(), memory };
    Judged { stored, rebuilt: None, newest, known: [A, B].map(str::to_owned).into() }
}

/// The plan as it is printed, without the digests of messages.
fn printed(plan: &Plan) -> String {
    let mut text = plan.to_string();
    for version in 1..=9_u8 {
        text = text.replace(&Sha256Digest::of(version.to_string().as_bytes()).short(), "…");
    }
    text.replace(A, "A").replace(B, "B")
}

/// The plan for an observed world, which remembers the list before.
fn plan_of(checked: &Checked, mut observed: Observed, before: Option<ImageList>, newest: Option<Newest>) -> Plan {
    let judged = judged(checked, before, newest);
    observed.memory.clone_from(&judged.stored.memory);
    observed.stored = observed.memory.as_ref().map(|_| message().document);
    plan(checked, &observed, judged, now())
}

#[test]
fn what_a_newest_message_makes_of_the_plan() {
    let refused = |reason| Err(Refusal::for_tests(reason, false));
    let many: Vec<String> = (0..9).map(|number| format!("cccccccc-0000-4000-8000-00000000000{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let table = [
        (
            "the first list",
            None,
            Some(Ok(of(1, &[A]))),
            vec![],
            "store list 1 (…); remember list 1 as accepted; make the image A",
        ),
        ("nothing new", Some(of(1, &[A])), None, vec![object(A, true)], "nothing to do"),
        (
            "one image more",
            Some(of(1, &[A])),
            Some(Ok(of(2, &[A, B]))),
            vec![object(A, true)],
            "store list 2 (…); remember list 2 as accepted; make the image B",
        ),
        ("an older version", Some(of(3, &[A])), Some(Ok(of(2, &[A, B]))), vec![object(A, true)], "nothing to do"),
        (
            "a stranger's",
            Some(of(1, &[A])),
            Some(refused(RefusalReason::EndorserNotTrusted)),
            vec![object(A, true)],
            "nothing to do",
        ),
        ("a stranger's, as the first", None, Some(refused(RefusalReason::EndorserNotTrusted)), vec![], "nothing to do"),
        (
            "one that drops almost all",
            Some(of(1, &many)),
            Some(Ok(of(2, &many[..1]))),
            many.iter().map(|one| object(one, true)).collect(),
            "nothing to do",
        ),
    ];
    for (name, before, outcome, images, expected) in table {
        let plan = plan_of(&checked(""), observed(images), before, outcome.map(newest));
        assert_eq!(printed(&plan), expected, "{name}");
    }
}

#[test]
fn what_became_of_the_list_before_makes_of_the_plan() {
    let frozen = || Refusal::for_tests(RefusalReason::CRLExpired, false);
    let revoked = || Refusal::for_tests(RefusalReason::CertificateRevoked, true);
    let plan_for = |before: fn(AcceptedList, Refusal) -> Before, refusal: Refusal| {
        let checked = checked("");
        let mut judged = judged(&checked, Some(of(1, &[A])), None);
        judged.stored.before = before(AcceptedList::for_tests(of(1, &[A]), now()), refusal);
        let mut observed = observed(vec![object(A, true)]);
        observed.memory.clone_from(&judged.stored.memory);
        plan(&checked, &observed, judged, now())
    };
    let kept = plan_for(Before::Frozen, frozen());
    let list = kept.list.as_ref().unwrap();
    assert!(list.frozen && list.force == Force::InForce && kept.frozen.is_some(), "what is in force stays");
    let withdrawn = plan_for(Before::Withdrawn, revoked());
    let force = &withdrawn.list.as_ref().unwrap().force;
    assert!(matches!(force, Force::Withdrawn { reason: "CertificateRevoked", .. }), "{force:?}");
    for plan in [kept, withdrawn] {
        assert_eq!(printed(&plan), "nothing to do", "images decide by themselves");
    }
}

#[test]
fn deletion_lets_the_images_go_before_the_object() {
    let deleted = |more: &str| Checked { deleting: true, finalizer: true, ..checked(more) };
    let retire = deleted("  deletionPolicy: Retire\n");
    let with_image = plan_of(&retire, observed(vec![object(A, true)]), Some(of(1, &[A])), None);
    assert_eq!(printed(&with_image), "delete the image n/A");
    let without = plan_of(&retire, observed(vec![]), Some(of(1, &[A])), None);
    assert_eq!(printed(&without), "let the subscription go");
    let new = plan_of(&retire, observed(vec![]), Some(of(1, &[A])), Some(newest(Ok(of(2, &[A, B])))));
    assert!(!new.steps.iter().any(|step| matches!(step, Step::ApplyImage(_))), "{new}");
}

#[test]
fn a_memory_that_cannot_be_read_is_set_aside_and_kept() {
    let path = PathBuf::from("/volume/state/lists/n/vo.json");
    let observed = Observed {
        trouble: Some(CacheError::StateCorrupt { path, message: "no JSON".to_owned() }),
        ..observed(vec![])
    };
    let checked = checked("");
    let judged = judged(&checked, None, Some(newest(Ok(of(1, &[A])))));
    let plan = plan(&checked, &observed, judged, now());
    let expected =
        "set /volume/state/lists/n/vo.json aside; store list 1 (…); remember list 1 as accepted; make the image A";
    assert_eq!(printed(&plan), expected);
}

#[test]
fn a_server_that_asks_for_time_gets_it_within_bounds() {
    const HOUR: u64 = 3600;
    let spread = spread("n/vo");
    let own = |seconds: f64| seconds * 0.2f64.mul_add(spread, 1.0);
    let spread_out = |seconds: f64| seconds * 0.05f64.mul_add(spread, 1.0);
    let table = [
        ("the back-off alone", "6h", Some((1, None)), own(30.0)),
        ("less than the back-off", "6h", Some((3, Some(5))), own(120.0)),
        ("no wait", "6h", Some((1, Some(0))), own(30.0)),
        ("more than the back-off", "6h", Some((1, Some(1000))), spread_out(1000.0)),
        ("as long as the interval", "6h", Some((1, Some(6 * HOUR))), spread_out(21_600.0)),
        ("longer than the interval", "6h", Some((1, Some(7 * HOUR))), spread_out(21_600.0)),
        ("for ever", "6h", Some((1, Some(u64::MAX))), spread_out(21_600.0)),
        ("an hour, of a short interval", "5m", Some((1, Some(HOUR))), spread_out(3600.0)),
        ("for ever, of a short interval", "5m", Some((1, Some(u64::MAX))), spread_out(3600.0)),
        ("after many failures", "5m", Some((40, Some(400))), spread_out(400.0)),
        ("no failure", "6h", None, spread_out(21_600.0)),
    ];
    for (name, interval, failure, expected) in table {
        let checked = checked(&format!("  interval: {interval}\n"));
        let failure = failure.map(|(count, wait): (u32, Option<u64>)| FetchFailure {
            count,
            retry_after: wait.map(Duration::from_secs),
        });
        let waits = next_fetch(&checked, now(), failure).duration_since(now()).as_secs_f64();
        assert!((waits - expected).abs() < 0.001, "{name}: {waits} instead of {expected}");
    }
}

fn any_list(versions: std::ops::Range<u8>) -> impl Strategy<Value = ImageList> {
    (versions, prop::sample::subsequence(vec![A, B], 0..=2)).prop_map(|(version, images)| of(version, &images))
}

proptest! {
    /// The same twice; a version never goes back; a list that is not accepted changes nothing; what an accepted list has
    /// is made once, and after that nothing is left to do.
    #[test]
    fn lists_only_go_forward(
        before in prop::option::of(any_list(1..5)), next in any_list(1..5), refused in any::<bool>(), there in any::<bool>(),
    ) {
        let checked = checked("  removalLimit: {percent: 100, free: 100}\n");
        let images = || if there { vec![object(A, true)] } else { Vec::new() };
        let outcome = || if refused { Err(Refusal::for_tests(RefusalReason::CertificateExpired, false)) } else { Ok(next.clone()) };
        let made = plan_of(&checked, observed(images()), before.clone(), Some(newest(outcome())));
        let again = plan_of(&checked, observed(images()), before.clone(), Some(newest(outcome())));
        prop_assert_eq!(made.to_string(), again.to_string());
        let imports = made.steps.iter().any(Step::is_import);
        prop_assert_eq!(imports, made.newly_accepted);
        if refused {
            let told = matches!(made.newest, plan::Newest::Refused { .. });
            prop_assert!(!imports && told);
        }
        let version = |list: &ImageList| list.version.as_str().parse::<u8>().unwrap();
        if let (Some(before), true) = (&before, imports) {
            prop_assert!(version(&next) >= version(before), "{} after {}", next.version, before.version);
        }
        if let Some(in_force) = &made.list {
            let list = in_force.accepted.list().clone();
            let images = list.images.iter().map(|image| object(image.identifier.as_str(), true)).collect();
            let after = plan_of(&checked, observed(images), Some(list), None);
            prop_assert_eq!(after.to_string(), "nothing to do");
        }
    }
}
