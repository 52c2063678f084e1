//! The plan for an image, as values: a manifest through the real check, what was observed built in memory.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::check::{Checked, check};
use super::observed::{Observed, Subscription};
use super::plan::{Phase, Plan, Step, plan};
use super::policy::Hold;
use super::targets::Targets;
use super::want::{Want, want};
use crate::api::{CachedImage, CachedImageStatus};
use crate::cache::{DownloadError, Entries, Entry, JobKey, JobState};
use crate::fetch::Came;
use crate::reconcile::exchange::{Force, ListInForce};
use crate::reconcile::fixtures::{IMAGE, blob, digest, in_force, list, listed, now, path};

fn checked(more: &str) -> Checked {
    let manifest = format!(
        "metadata: {{name: {IMAGE}, namespace: n}}\nspec: {{identifier: {IMAGE}, subscriptionRef: {{name: vo}}{more}}}\n"
    );
    let object: CachedImage = serde_yaml::from_str(&manifest).unwrap();
    check(&object).unwrap()
}

fn entry(version: u8, archived: bool) -> Entry {
    Entry {
        version: version.to_string().parse().unwrap(),
        digest: digest(version),
        path: path(&format!("{archived}/{version}")),
        archived_time: archived.then(now),
    }
}

/// Nothing is on the volume, and the list in force has these versions of the image, one at most.
fn observed(checked: &Checked, in_force: Option<ListInForce>) -> Observed {
    Observed {
        status: CachedImageStatus::default(),
        root: path(""),
        subscription: Subscription::default(),
        want: want(checked, in_force.as_ref(), now()),
        list: in_force.map(Arc::new),
        entries: Entries::default(),
        blob: None,
        published: None,
        job: None,
        space_again: false,
        running: None,
        targets: Targets::default(),
        desired: None,
        abandoned: false,
        abandoned_from: None,
        namespace_ends: false,
        alone_from: None,
        trouble: None,
    }
}

fn of_version(version: u8) -> ListInForce {
    in_force(list(version, vec![listed(IMAGE, version)]))
}

fn dropped() -> ListInForce {
    in_force(list(9, Vec::new()))
}

fn job() -> JobKey {
    let namespace = "n".parse().unwrap();
    JobKey { namespace, digest: digest(2).into(), url: "https://example.org/2.img".parse().unwrap() }
}

fn mismatch() -> JobState {
    JobState::Failed(DownloadError::SizeMismatch {
        url: "https://example.org/2.img".parse().unwrap(),
        expected: 1000,
        found: "1001".into(),
        came: Box::new(Came::default()),
    })
}

/// One case: what is special about it, the plan as it is printed, and where the image is on its way.
type Case = (&'static str, &'static str, fn(&mut Checked, &mut Observed), &'static str, fn(&Phase) -> bool);

const BYTES: &str = "0202020202020202";

/// From version 1 in circulation to version 2, and every way in which that is different.
const CASES: [Case; 17] = [
    (
        "a new version",
        "",
        |_, _| {},
        "download 1000 bytes from https://example.org/2.img as 0202…",
        |phase| matches!(phase, Phase::Downloading { bytes: 0, total: 1000, .. }),
    ),
    (
        "its bytes are there",
        "",
        |_, o| o.blob = Some(blob(2)),
        "publish 2 (0202…); archive 1 (0101…)",
        |phase| *phase == Phase::Current,
    ),
    (
        "it comes back",
        "",
        |_, o| {
            o.blob = Some(blob(2));
            o.entries.expired = vec![entry(2, true)];
        },
        "bring back 2 (0202…); archive 1 (0101…)",
        |phase| *phase == Phase::Current,
    ),
    (
        "nothing to do",
        "",
        |_, o| {
            o.blob = Some(blob(2));
            o.entries.endorsed = vec![entry(2, false)];
        },
        "nothing to do",
        |phase| *phase == Phase::Current,
    ),
    (
        "a download that waits",
        "",
        |_, o| o.job = Some(JobState::Queued),
        "nothing to do",
        |phase| matches!(phase, Phase::Downloading { .. }),
    ),
    (
        "wrong bytes",
        "",
        |_, o| o.job = Some(mismatch()),
        "forget the failed download from https://example.org/2.img",
        |phase| matches!(phase, Phase::Failed { reason: "SizeMismatch", .. }),
    ),
    ("suspended", ", suspend: true", |_, _| {}, "nothing to do", |phase| *phase == Phase::Held(Hold::Suspended)),
    (
        "suspended while it downloads",
        ", suspend: true",
        |_, o| {
            o.job = Some(JobState::Queued);
            o.running = Some(job());
        },
        "stop the download from https://example.org/2.img",
        |phase| *phase == Phase::Held(Hold::Suspended),
    ),
    (
        "frozen",
        "",
        |c, o| with_list(c, o, |list| list.frozen = true),
        "nothing to do",
        |phase| *phase == Phase::Held(Hold::ListFrozen),
    ),
    ("dropped by the list", "", |c, o| with(c, o, Some(dropped())), "archive 1 (0101…)", |p| *p == Phase::Out),
    (
        "dropped, and kept by a person",
        ", keepUntil: 2026-12-01T00:00:00Z",
        |c, o| with(c, o, Some(dropped())),
        "nothing to do",
        |phase| *phase == Phase::Unchanged,
    ),
    ("no list in force", "", |c, o| with(c, o, None), "nothing to do", |phase| *phase == Phase::Unchanged),
    (
        "its signer is revoked",
        ", keepUntil: 2026-12-01T00:00:00Z",
        |c, o| {
            with_list(c, o, |list| {
                list.force = Force::Withdrawn { reason: "CertificateRevoked", message: String::new() };
            });
        },
        "archive 1 (0101…)",
        |phase| *phase == Phase::Out,
    ),
    (
        "expired",
        "",
        |c, o| with_list(c, o, |list| list.force = Force::Expired),
        "archive 1 (0101…)",
        |phase| *phase == Phase::Out,
    ),
    ("a pin that names nothing", ", version: \"7\"", |_, _| {}, "nothing to do", |phase| *phase == Phase::Unchanged),
    (
        "to be retired",
        ", deletionPolicy: Retire",
        |_, o| o.blob = Some(blob(2)),
        RETIRED,
        |phase| *phase == Phase::Current,
    ),
    (
        "more than is kept",
        "",
        |_, o| {
            o.blob = Some(blob(2));
            o.entries.endorsed = vec![entry(2, false)];
            let old = now() - SignedDuration::from_hours(1);
            let aged = |version| Entry { archived_time: Some(old), ..entry(version, true) };
            o.entries.expired = vec![aged(3), aged(4), entry(2, true)];
        },
        "remove 3 (0303…) from the archive; remove 2 (0202…) from the archive",
        |phase| *phase == Phase::Current,
    ),
];

#[test]
fn the_plan_of_each_case() {
    for (name, more, change, expected, phase) in CASES {
        let mut checked = checked(more);
        let mut observed = observed(&checked, Some(of_version(2)));
        observed.entries.endorsed = vec![entry(1, false)];
        change(&mut checked, &mut observed);
        let plan = plan(&checked, &observed, now());
        assert_eq!(shortened(&plan), expected, "{name}");
        assert!(phase(&plan.phase), "{name}: {:?}", plan.phase);
    }
}

const RETIRED: &str = "hold the object until the image is archived; publish 2 (0202…); archive 1 (0101…)";

/// The plan as it is printed, with short digests.
fn shortened(plan: &Plan) -> String {
    (1..=9_u8).fold(plan.to_string(), |text, version| {
        let short = digest(version).short();
        assert!(short.starts_with(&HEXLOWER.encode(&[version; 2])) && short.len() <= BYTES.len(), "{short}");
        text.replace(&format!("{short}…"), &format!("{}…", HEXLOWER.encode(&[version; 2])))
    })
}

fn with(checked: &Checked, observed: &mut Observed, list: Option<ListInForce>) {
    observed.want = want(checked, list.as_ref(), now());
    observed.list = list.map(Arc::new);
}

fn with_list(checked: &Checked, observed: &mut Observed, change: fn(&mut ListInForce)) {
    let mut list = of_version(2);
    change(&mut list);
    with(checked, observed, Some(list));
}

/// A volume and an object, as far as a plan changes them.
#[derive(Debug, Clone)]
struct World {
    endorsed: Vec<u8>,
    expired: Vec<u8>,
    blobs: Vec<u8>,
    finalizer: bool,
}

impl World {
    fn observed(&self, checked: &Checked, list: Option<ListInForce>) -> Observed {
        let mut observed = observed(checked, list);
        observed.entries.endorsed = self.endorsed.iter().map(|version| entry(*version, false)).collect();
        observed.entries.expired = self.expired.iter().map(|version| entry(*version, true)).collect();
        if let Want::Image(wanted) = &observed.want {
            observed.blob =
                self.blobs.iter().map(|version| blob(*version)).find(|b| wanted.image.sha512() == Some(*b.digest()));
        }
        observed
    }

    /// Does a plan, up to its first so many steps.
    fn apply(&mut self, plan: &Plan, steps: usize) {
        let number = |version: &crate::imagelist::ListVersion| version.as_str().parse::<u8>().unwrap();
        for step in plan.steps.iter().take(steps) {
            match step {
                Step::Finalize(held) => self.finalizer = *held,
                Step::ForgetJob(_) | Step::CancelJob(_) => {}
                Step::StartDownload { digest, .. } => self.blobs.push(digest.sha512().unwrap().as_bytes()[0]),
                Step::Publish { version, .. } => {
                    self.expired.retain(|other| *other != number(version));
                    self.endorsed.push(number(version));
                }
                Step::Archive(entry) => {
                    self.endorsed.retain(|other| *other != number(&entry.version));
                    self.expired.push(number(&entry.version));
                }
                Step::RemoveArchived(entry) => {
                    let place = self.expired.iter().position(|other| *other == number(&entry.version)).unwrap();
                    self.expired.remove(place);
                }
            }
        }
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let versions = || prop::sample::subsequence(vec![1_u8, 2, 3], 0..=3);
    (prop::option::of(1_u8..4), versions(), versions(), any::<bool>()).prop_map(
        |(endorsed, expired, blobs, finalizer)| World {
            endorsed: endorsed.into_iter().collect(),
            expired,
            blobs,
            finalizer,
        },
    )
}

fn any_list() -> impl Strategy<Value = Option<ListInForce>> {
    let in_force = (1_u8..4, any::<bool>(), any::<bool>(), 0..4_u8).prop_map(|(version, frozen, retire, force)| {
        let mut list = if force == 3 { dropped() } else { of_version(version) };
        (list.frozen, list.retire) = (frozen, retire);
        match force {
            1 => list.force = Force::Expired,
            2 => list.force = Force::Withdrawn { reason: "EndorserRevoked", message: String::new() },
            _ => {}
        }
        list
    });
    prop::option::weighted(0.9, in_force)
}

proptest! {
    /// The same twice; and where nothing changes meanwhile, some passes later there is nothing left to do, however the
    /// ones before were cut off.
    #[test]
    fn plans_are_the_same_twice_and_come_to_an_end(
        world in any_world(), list in any_list(), cuts in prop::collection::vec(0_usize..4, 0..4), suspend in any::<bool>(),
    ) {
        let more = if suspend { ", suspend: true" } else { "" };
        let mut world = world;
        let mut checked = checked(more);
        let plan_for = |world: &World, checked: &Checked| plan(checked, &world.observed(checked, list.clone()), now());
        for steps in cuts.into_iter().chain([usize::MAX; 4]) {
            checked.finalizer = world.finalizer;
            let made = plan_for(&world, &checked);
            prop_assert_eq!(made.to_string(), plan_for(&world, &checked).to_string());
            world.apply(&made, steps);
        }
        checked.finalizer = world.finalizer;
        prop_assert_eq!(plan_for(&world, &checked).to_string(), "nothing to do", "{:?}", world);
    }

    /// A version in circulation goes only where another takes its place in the same plan, or where somebody says so.
    #[test]
    fn nothing_goes_out_without_a_statement(world in any_world(), list in any_list()) {
        let checked = Checked { finalizer: world.finalizer, ..checked("") };
        let observed = world.observed(&checked, list);
        let made = plan(&checked, &observed, now());
        let archives = made.steps.iter().position(|step| matches!(step, Step::Archive(_)));
        let publishes = made.steps.iter().position(|step| matches!(step, Step::Publish { .. }));
        let stated = matches!(observed.want, Want::Out { .. });
        let current = matches!(&observed.want, Want::Image(wanted)
            if observed.entries.endorsed.iter().any(|entry| wanted.image.sha512() == Some(entry.digest)));
        if let Some(archives) = archives {
            prop_assert!(stated || current || publishes.is_some_and(|publishes| publishes < archives), "{made}");
        }
    }
}
