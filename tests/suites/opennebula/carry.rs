//! A to E, seen from outside: the new image ends with exactly what the old one had.

use harness::opennebula::{Dialect, State};
use vmcatcher_operator::opennebula::carry_over::{Reference, UpdateMode};

use super::credential::{Credential, with_each_credential};
use super::site::{ALICE, BOB, IDENTIFIER, ONEADMIN, SERVICE, SITES, USERS, Want, role};

/// Owners: the administrator, the operator's own user, a user in the group, a user who is not.
const OWNERS: [(u32, u32); 4] = [(ONEADMIN, ONEADMIN), (SERVICE, ONEADMIN), (ALICE, SITES), (BOB, SITES)];

/// Every owner and mode that it can carry over, as images of one cloud. An administrator is one of the group `oneadmin`.
fn everything_is_carried_over(who: Credential, dialect: Dialect, mode: UpdateMode, modes: impl Iterator<Item = u16>) {
    let mut site = who.site_of(dialect, mode);
    let ((me, mine), owners) = match who {
        Credential::Oneadmin => ((SERVICE, ONEADMIN), OWNERS.to_vec()),
        Credential::GroupAdministrator | Credential::User => (who.owner(), vec![who.owner(), who.customer()]),
    };
    if who == Credential::Oneadmin {
        site.act_as("service:servicepw");
    }
    let mut cases = Vec::new();
    for bits in modes {
        let bits = bits & who.mask();
        for &(uid, gid) in &owners {
            cases.extend(
                [true, false].map(|enabled| (format!("{uid}-{gid}-{bits:03o}-{enabled}"), uid, gid, bits, enabled)),
            );
        }
    }
    let first: Vec<_> = cases.iter().map(|case| Want(&case.0, Some(1))).collect();
    let second: Vec<_> = cases.iter().map(|case| Want(&case.0, Some(2))).collect();
    let before = site.converge(&first);
    site.cloud.world(|world| {
        for (outcome, (name, uid, gid, bits, enabled)) in before.iter().zip(&cases) {
            let image = world.images.values_mut().find(|image| image.name == *name).unwrap();
            assert_eq!(image.owner_and_mode(), (me, mine, 0o600), "private at first");
            assert_eq!(outcome.identifier.as_str(), name);
            (image.uid, image.gid, image.permissions) = (*uid, *gid, *bits);
            image.state = if *enabled { State::Ready } else { State::Disabled };
            image.attributes.insert("LABELS".to_owned(), format!("of {name}"));
        }
    });
    site.converge(&second);
    site.cloud.world(|world| {
        assert_eq!(world.images.len(), cases.len() * 2, "nothing is registered twice");
        for (name, uid, gid, bits, enabled) in &cases {
            let new: Vec<_> = world.images.values().filter(|image| image.name == *name).collect();
            let [new] = new[..] else { panic!("{name}: {} images have the name", new.len()) };
            let state = if *enabled { State::Ready } else { State::Disabled };
            assert_eq!((new.uid, new.gid, new.permissions, new.state), (*uid, *gid, *bits, state), "{name}");
            assert_eq!(new.attributes["LABELS"], format!("of {name}"));
            assert_eq!(new.attributes["VMCATCHER_EVENT_HV_VERSION"], "4.2");
            let prefix = format!("{name}_2026-11-22_");
            let old: Vec<_> = world.images.values().filter(|image| image.name.starts_with(&prefix)).collect();
            let [old] = old[..] else { panic!("{name}: {} retired images", old.len()) };
            let expected = (who.retired(), State::Disabled, "retired");
            assert_eq!((old.owner_and_mode(), old.state, role(old)), expected, "{name}");
            assert!(old.name.ends_with("_+0000-UTC"), "{}", old.name);
        }
    });
}

#[test]
fn every_owner_and_mode_is_carried_over_staged() {
    // 32 clouds, four at a time.
    std::thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for first in (worker..32).step_by(4) {
                    let modes = (first..512).step_by(32);
                    everything_is_carried_over(Credential::Oneadmin, Dialect::V7_4, UpdateMode::Staged, modes);
                }
            });
        }
    });
}

#[test]
fn every_owner_is_carried_over_in_place_and_by_older_servers() {
    for (dialect, mode) in [
        (Dialect::V7_4, UpdateMode::InPlace),
        (Dialect::V5_12, UpdateMode::Staged),
        (Dialect::V5_12, UpdateMode::InPlace),
    ] {
        everything_is_carried_over(Credential::Oneadmin, dialect, mode, (0..512).step_by(37));
    }
}

/// As a group administrator and as a user: owner and group among those that each can give images to, and the bits that it
/// may change. It must see what it manages, so those modes are left out by which it hides its own image from itself.
#[test]
fn what_others_than_administrators_can_give_is_carried_over() {
    for who in [Credential::GroupAdministrator, Credential::User] {
        for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
            let modes = (0..512).step_by(19).map(|bits: u16| bits | 0o600);
            let modes: std::collections::BTreeSet<u16> = modes.map(|bits| bits & who.mask()).collect();
            everything_is_carried_over(who, Dialect::V7_4, mode, modes.into_iter());
        }
    }
}

with_each_credential! {
    the_first_registration_is_as_the_site_says_and_later_ones_as_it_made_of_it
    going_back_takes_the_retired_image_and_uploads_nothing
    an_image_that_comes_back_after_it_was_withdrawn_is_as_it_was
}

fn the_first_registration_is_as_the_site_says_and_later_ones_as_it_made_of_it(who: Credential) {
    let mut site = who.site();
    let (uid, own) = who.owner();
    let (_, group) = who.customer();
    site.settings.initial_permissions = "640".parse().unwrap();
    let name = site.cloud.world(|world| world.groups[&group].name.clone());
    site.settings.vo_groups = [("atlas".to_owned(), Reference::Name(name))].into();
    let first = site.publish(1);
    let image = site.image(first);
    assert_eq!(image.owner_and_mode(), (uid, group, 0o640));
    let later = if who == Credential::Oneadmin { USERS } else { own };
    site.cloud.world(|world| (world.image(first).gid, world.image(first).permissions) = (later, 0o644));
    let second = site.image(site.publish(2));
    assert_eq!((second.name.as_str(), second.gid, second.permissions), (IDENTIFIER, later, 0o644));
}

fn going_back_takes_the_retired_image_and_uploads_nothing(who: Credential) {
    let (uid, gid) = who.customer();
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        let site = who.site_of(Dialect::V7_4, mode);
        let first = site.publish(1);
        site.cloud.world(|world| {
            let image = world.image(first);
            (image.uid, image.gid, image.permissions) = (uid, gid, 0o664);
        });
        let second = site.publish(2);
        site.cloud.world(|world| world.image(second).permissions = 0o660);
        site.cloud.take_calls();
        assert_eq!(site.publish(1), first);
        let calls = site.cloud.take_calls();
        assert!(calls.iter().all(|call| call.method != "one.image.allocate"));
        let (back, old) = (site.image(first), site.image(second));
        assert_eq!((back.name.as_str(), back.uid, back.gid, back.permissions), (IDENTIFIER, uid, gid, 0o660));
        assert_eq!((back.state, role(&back)), (State::Ready, "current"));
        assert_eq!((old.owner_and_mode(), old.state, role(&old)), (who.retired(), State::Disabled, "retired"));
    }
}

fn an_image_that_comes_back_after_it_was_withdrawn_is_as_it_was(who: Credential) {
    let (uid, gid) = who.customer();
    for (mode, back, keeps_record) in [
        (UpdateMode::Staged, 2, true),
        (UpdateMode::Staged, 1, true),
        (UpdateMode::InPlace, 2, true),
        (UpdateMode::Staged, 2, false),
        (UpdateMode::InPlace, 1, false),
    ] {
        let site = who.site_of(Dialect::V7_4, mode);
        let first = site.publish(1);
        site.cloud.world(|world| {
            let image = world.image(first);
            (image.uid, image.gid, image.permissions) = (uid, gid, 0o644);
        });
        // The operator must have seen it once since, as it does every pass.
        site.publish(1);
        site.converge(&[Want(IDENTIFIER, None)]);
        let gone = site.image(first);
        assert_eq!((gone.owner_and_mode(), gone.state), (who.retired(), State::Disabled));
        assert!(site.images().iter().all(|image| image.name != IDENTIFIER));
        if !keeps_record {
            site.kept.0.lock().unwrap().clear(); // the volume was lost: what is written on the image is enough
        }
        let again = site.image(site.publish(back));
        let expected = (IDENTIFIER, (uid, gid, 0o644), State::Ready);
        assert_eq!((again.name.as_str(), again.owner_and_mode(), again.state), expected, "{mode:?}");
    }
}
