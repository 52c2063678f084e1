//! A to E, seen from outside: the new image ends with exactly what the old one had.

use harness::opennebula::{Dialect, State};
use vmcatcher_operator::opennebula::carry_over::UpdateMode;

use crate::opennebula::site::{ALICE, BOB, IDENTIFIER, ONEADMIN, SERVICE, SITES, Site, USERS, Want, role};

/// Owners: the administrator, the operator's own user, a user in the group, a user who is not.
const OWNERS: [(u32, u32); 4] = [(ONEADMIN, ONEADMIN), (SERVICE, ONEADMIN), (ALICE, SITES), (BOB, SITES)];

/// Every owner with every one of the given modes, as images of one cloud.
fn everything_is_carried_over(dialect: Dialect, mode: UpdateMode, modes: impl Iterator<Item = u16>) {
    let mut site = Site::of(dialect, mode);
    site.act_as("service:servicepw");
    let mut cases = Vec::new();
    for bits in modes {
        for (uid, gid) in OWNERS {
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
            assert_eq!((image.uid, image.gid, image.permissions), (SERVICE, ONEADMIN, 0o600), "private at first");
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
            let expected = (ONEADMIN, ONEADMIN, 0o700, State::Disabled, "retired");
            assert_eq!((old.uid, old.gid, old.permissions, old.state, role(old)), expected, "{name}");
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
                    everything_is_carried_over(Dialect::V7_4, UpdateMode::Staged, (first..512).step_by(32));
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
        everything_is_carried_over(dialect, mode, (0..512).step_by(37));
    }
}

#[test]
fn the_first_registration_is_as_the_site_says_and_later_ones_as_it_made_of_it() {
    let mut site = Site::new();
    site.settings.initial_permissions = "640".parse().unwrap();
    site.settings.vo_groups = [("atlas".to_owned(), "sites")]
        .map(|(vo, group)| (vo, vmcatcher_operator::opennebula::carry_over::Reference::Name(group.to_owned())))
        .into();
    let first = site.publish(1);
    let image = site.image(first);
    assert_eq!((image.uid, image.gid, image.permissions), (ONEADMIN, SITES, 0o640));
    site.cloud.world(|world| (world.image(first).gid, world.image(first).permissions) = (USERS, 0o644));
    let second = site.image(site.publish(2));
    assert_eq!((second.name.as_str(), second.gid, second.permissions), (IDENTIFIER, USERS, 0o644));
}

#[test]
fn going_back_takes_the_retired_image_and_uploads_nothing() {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        let site = Site::of(Dialect::V7_4, mode);
        let first = site.publish(1);
        site.cloud.world(|world| {
            let image = world.image(first);
            (image.uid, image.gid, image.permissions) = (ALICE, SITES, 0o664);
        });
        let second = site.publish(2);
        site.cloud.world(|world| world.image(second).permissions = 0o660);
        site.cloud.take_calls();
        assert_eq!(site.publish(1), first);
        let calls = site.cloud.take_calls();
        assert!(calls.iter().all(|call| call.method != "one.image.allocate"));
        let (back, old) = (site.image(first), site.image(second));
        assert_eq!((back.name.as_str(), back.uid, back.gid, back.permissions), (IDENTIFIER, ALICE, SITES, 0o660));
        assert_eq!((back.state, role(&back)), (State::Ready, "current"));
        assert_eq!((old.uid, old.permissions, old.state, role(&old)), (ONEADMIN, 0o700, State::Disabled, "retired"));
    }
}

#[test]
fn an_image_that_comes_back_after_it_was_withdrawn_is_as_it_was() {
    for (mode, back, keeps_record) in [
        (UpdateMode::Staged, 2, true),
        (UpdateMode::Staged, 1, true),
        (UpdateMode::InPlace, 2, true),
        (UpdateMode::Staged, 2, false),
        (UpdateMode::InPlace, 1, false),
    ] {
        let site = Site::of(Dialect::V7_4, mode);
        let first = site.publish(1);
        site.cloud.world(|world| {
            let image = world.image(first);
            (image.uid, image.gid, image.permissions) = (BOB, USERS, 0o644);
        });
        // The operator must have seen it once since, as it does every pass.
        site.publish(1);
        site.converge(&[Want(IDENTIFIER, None)]);
        let gone = site.image(first);
        assert_eq!((gone.uid, gone.permissions, gone.state), (ONEADMIN, 0o700, State::Disabled));
        assert!(site.images().iter().all(|image| image.name != IDENTIFIER));
        if !keeps_record {
            site.kept.0.lock().unwrap().clear(); // the volume was lost: what is written on the image is enough
        }
        let again = site.image(site.publish(back));
        let expected = (IDENTIFIER, BOB, USERS, 0o644, State::Ready);
        assert_eq!((again.name.as_str(), again.uid, again.gid, again.permissions, again.state), expected, "{mode:?}");
    }
}
