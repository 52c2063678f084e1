//! An update that is cut off anywhere, or whose calls fail, one at a time: the next pass goes on from there.

use std::collections::BTreeMap;

use harness::opennebula::{Call, Dialect, Fault, Image, Refusal, State, World};
use vmcatcher_operator::imagelist::ImageId;
use vmcatcher_operator::opennebula::carry_over::{Record, UpdateMode, Verdict};
use vmcatcher_operator::opennebula::xmlrpc::Value;

use super::credential::{Credential, with_each_credential};
use super::site::{IDENTIFIER, Site, Want, resolves, role};

/// Where an update starts.
struct Start {
    world: World,
    records: BTreeMap<ImageId, Record>,
    owner: (u32, u32),
}

/// What is seen of an image once all is done: times and ids that a cut may change left out.
fn summary(site: &Site) -> Vec<(String, u32, u32, u16, State, String, String)> {
    let seen = |image: Image| {
        let name = if image.name == IDENTIFIER { "current" } else { "retired" };
        assert!(image.name == IDENTIFIER || image.name.starts_with(&format!("{IDENTIFIER}_2026-")), "{}", image.name);
        let version = image.attributes["VMCATCHER_EVENT_HV_VERSION"].clone();
        let role = role(&image).to_owned();
        (name.to_owned(), image.uid, image.gid, image.permissions, image.state, version, role)
    };
    let mut images: Vec<_> = site.images().into_iter().map(seen).collect();
    images.sort();
    images
}

/// What happens in the pass under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The first version.
    Register,
    /// Version 2 takes the place of 1.
    Update,
    /// Back to version 1, whose image is retired.
    Revive,
    /// Nothing is wanted any more.
    Withdraw,
}

impl Change {
    fn wants(self) -> Want<'static> {
        Want(
            IDENTIFIER,
            match self {
                Self::Register | Self::Revive => Some(1),
                Self::Update => Some(2),
                Self::Withdraw => None,
            },
        )
    }

    fn start(self, site: &Site, owner: (u32, u32)) -> Start {
        match self {
            Self::Register => {}
            Self::Update | Self::Withdraw => drop(site.publish(1)),
            Self::Revive => {
                site.publish(1);
                site.publish(2);
            }
        }
        site.cloud.world(|world| {
            if let Some(image) = world.images.values_mut().find(|image| image.name == IDENTIFIER) {
                (image.uid, image.gid) = owner;
                image.permissions = 0o644;
            }
        });
        if self != Self::Register {
            site.pass(&[Want(IDENTIFIER, Some(if self == Self::Revive { 2 } else { 1 }))]).unwrap();
        }
        let records = site.kept.0.lock().unwrap().clone();
        Start { world: site.cloud.world(|world| world.clone()), records, owner }
    }
}

fn restore(site: &Site, start: &Start) {
    site.restart();
    site.cloud.recover();
    site.cloud.world(|world| *world = start.world.clone());
    site.kept.0.lock().unwrap().clone_from(&start.records);
    site.cloud.take_calls();
    site.cloud.seen();
}

fn renames_to_identifier(call: &Call) -> bool {
    call.method == "one.image.rename" && call.parameters.get(1) == Some(&Value::Text(IDENTIFIER.to_owned()))
}

/// Passes until nothing is left to do; each operator is a new one. Gives all calls.
fn finish(site: &Site, change: Change) -> Vec<Call> {
    site.converge(&[change.wants()]);
    site.cloud.take_calls()
}

/// Runs a change whole, then again once for each of its calls and each way that call can go wrong.
fn cut_everywhere(who: Credential, mode: UpdateMode, change: Change, owner: (u32, u32)) {
    let dialect = if owner == who.customer() { Dialect::V7_4 } else { Dialect::V5_12 };
    let site = who.site_of(dialect, mode);
    let start = change.start(&site, owner);
    restore(&site, &start);
    // The name must lead to an image at all times, but between two renames; counted from the call that leaves it.
    let name_matters = mode == UpdateMode::Staged && matches!(change, Change::Update | Change::Revive);
    let (watched, _) = start.owner;
    site.cloud.watch(move |call, world| {
        let missing = name_matters && call.is_write() && call.done && !resolves(world, IDENTIFIER, watched);
        missing.then(|| call.method.clone())
    });
    let whole = finish(&site, change);
    assert!(site.cloud.seen().len() <= 1, "the name is free between two calls at most");
    let expected = summary(&site);
    let allocations = whole.iter().filter(|call| call.method == "one.image.allocate").count();
    let refusal = Refusal { code: 8192, text: "Something went wrong.".to_owned(), object: -1 };
    for (at, call) in whole.iter().enumerate() {
        let faults = [
            None,
            Some(Fault::Drop),
            Some(Fault::LoseAnswer),
            Some(Fault::HalfAnswer),
            Some(Fault::Refuse(refusal.clone())),
            Some(Fault::Garbage("<html>Bad gateway</html>".to_owned())),
        ];
        // A read that goes wrong changes nothing, however it does.
        for fault in faults.into_iter().filter(|fault| fault.is_none() || call.is_write()) {
            restore(&site, &start);
            match &fault {
                Some(fault) => site.cloud.fail(at, fault.clone()),
                None => site.cloud.die_after(at),
            }
            let context = format!("{who:?} {mode:?} {change:?} owner {owner:?}, call {at} ({}) {fault:?}", call.method);
            one_cut(&site, change, &context, name_matters);
            assert_eq!(summary(&site), expected, "{context}");
            let done = site.cloud.world(|world| world.next_image);
            let begun = start.world.next_image + u32::try_from(allocations).unwrap();
            assert_eq!(done, begun, "{context}: nothing is registered twice");
        }
    }
}

/// The pass that goes wrong, and those after it.
fn one_cut(site: &Site, change: Change, context: &str, name_matters: bool) {
    // Passes up to the one in which the fault strikes: imports take two.
    for _ in 0..3 {
        let _ = site.pass(&[change.wants()]);
        site.cloud.world(|world| world.advance(1));
    }
    let left_without = name_matters && site.cloud.world(|world| world.named(IDENTIFIER).is_empty());
    site.cloud.recover();
    site.restart();
    // A failed registration waits a minute before it is tried again.
    site.cloud.world(|world| world.advance(61));
    site.cloud.take_calls();
    let calls = finish(site, change);
    if left_without {
        let first = calls.iter().find(|call| call.is_write());
        assert!(first.is_some_and(renames_to_identifier), "{context}: the first write mends the name, found {first:?}");
    }
    let without_a_name = site.cloud.seen();
    assert!(without_a_name.len() <= 1, "{context}: no image of that name after {without_a_name:?}");
}

/// Its own images, and those of somebody to whom it can give them.
fn owners(who: Credential) -> Vec<(u32, u32)> {
    match who {
        Credential::Oneadmin => vec![who.owner(), who.customer()],
        Credential::GroupAdministrator | Credential::User => vec![who.customer()],
    }
}

with_each_credential! {
    an_update_can_be_cut_anywhere
    a_revival_can_be_cut_anywhere
    a_first_registration_and_a_withdrawal_can_be_cut_anywhere
    a_new_version_or_the_old_one_again_ends_well_whatever_was_cut
}

fn an_update_can_be_cut_anywhere(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        for owner in owners(who) {
            cut_everywhere(who, mode, Change::Update, owner);
        }
    }
}

fn a_revival_can_be_cut_anywhere(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        for owner in owners(who) {
            cut_everywhere(who, mode, Change::Revive, owner);
        }
    }
}

fn a_first_registration_and_a_withdrawal_can_be_cut_anywhere(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        cut_everywhere(who, mode, Change::Register, who.owner());
        for owner in owners(who) {
            cut_everywhere(who, mode, Change::Withdraw, owner);
        }
    }
}

fn a_new_version_or_the_old_one_again_ends_well_whatever_was_cut(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        for then in [None, Some(1), Some(3)] {
            let site = who.site_of(Dialect::V7_4, mode);
            let (uid, gid) = who.customer();
            let start = Change::Update.start(&site, (uid, gid));
            restore(&site, &start);
            let calls = finish(&site, Change::Update).len();
            for at in 0..calls {
                restore(&site, &start);
                site.cloud.die_after(at);
                for _ in 0..3 {
                    let _ = site.pass(&[Want(IDENTIFIER, Some(2))]);
                    site.cloud.world(|world| world.advance(1));
                }
                site.cloud.recover();
                let outcomes = site.converge(&[Want(IDENTIFIER, then)]);
                let named = site.cloud.world(|world| world.named(IDENTIFIER).into_iter().cloned().collect::<Vec<_>>());
                match (&outcomes[0].verdict, then) {
                    (Verdict::Retired, None) => assert!(named.is_empty(), "{mode:?} call {at}"),
                    (Verdict::Published { id }, Some(version)) => {
                        let [image] = &named[..] else { panic!("{mode:?} call {at}: {named:?}") };
                        let found = (image.id, image.uid, image.gid, image.permissions, image.state);
                        assert_eq!(found, (*id, uid, gid, 0o644, State::Ready), "{mode:?} {then:?} call {at}");
                        assert_eq!(image.attributes["VMCATCHER_EVENT_HV_VERSION"], format!("4.{version}"));
                    }
                    other => panic!("{mode:?} call {at}: {other:?}"),
                }
            }
        }
    }
}
