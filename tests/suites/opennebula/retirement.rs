//! What leaves circulation does so, whatever the operator's user may do: or a condition names what is missing.

use harness::opennebula::{Dialect, Fault, State};
use vmcatcher_operator::cloud::Reason;
use vmcatcher_operator::opennebula::carry_over::{Retired, UpdateMode, Verdict};

use super::credential::{CATCHER, Credential};
use super::site::{ALICE, IDENTIFIER, Site, USERS, Want, digest, role};

const EVERY: [(Dialect, UpdateMode); 4] = [
    (Dialect::V7_4, UpdateMode::Staged),
    (Dialect::V7_4, UpdateMode::InPlace),
    (Dialect::V5_12, UpdateMode::Staged),
    (Dialect::V5_12, UpdateMode::InPlace),
];

fn published_with_mode(site: &Site, mode: u16) -> u32 {
    let image = site.publish(1);
    site.cloud.world(|world| world.image(image).permissions = mode);
    site.publish(1);
    image
}

/// Whether a VM of somebody else could be started from it.
fn is_usable(site: &Site, image: u32) -> bool {
    let image = site.image(image);
    image.permissions & 0o066 != 0 && image.state == State::Ready
}

#[test]
fn a_withdrawn_image_that_others_use_is_disabled_and_closed_by_a_user() {
    for (dialect, mode) in EVERY {
        let site = Credential::User.site_of(dialect, mode);
        let image = published_with_mode(&site, 0o644);
        site.converge(&[Want(IDENTIFIER, None)]);
        let found = site.image(image);
        assert_eq!(
            (found.state, found.permissions, found.uid),
            (State::Disabled, 0o600, CATCHER),
            "{dialect:?} {mode:?}"
        );
        assert_eq!(role(&found), "retired");
        assert_ne!(found.name, IDENTIFIER);
    }
}

#[test]
fn what_only_an_administrator_may_do_keeps_nothing_else_from_being_done_and_is_told_until_it_is() {
    for (dialect, mode) in EVERY {
        let mut site = Credential::User.site_of(dialect, mode);
        site.settings.retired = Retired::default();
        // Its group, to which we do not belong, may administer it.
        let image = published_with_mode(&site, 0o654);
        site.cloud.world(|world| world.image(image).gid = 0);
        for _ in 0..3 {
            let (reason, message) = site.condition(None);
            assert_eq!(reason, Reason::NotAuthorized, "{message}");
            for part in
                [&format!("image {image} "), "expected mode 600, found 610", "ADMIN IMAGE", "expected owner oneadmin"]
            {
                assert!(message.contains(part), "{part}: {message}");
            }
            assert!(!is_usable(&site, image), "{message}");
        }
        assert_eq!(site.image(image).state, State::Disabled);
        // The administrator does what was missing.
        site.cloud.world(|world| {
            let image = world.image(image);
            (image.uid, image.gid, image.permissions) = (0, 0, 0o600);
        });
        assert_eq!(site.condition(None).0, Reason::Retired, "{dialect:?} {mode:?}");
    }
}

/// Nothing is said to be out of circulation because a call was answered: only because it was read.
#[test]
fn a_call_that_says_yes_and_does_nothing_is_not_believed() {
    let site = Site::new();
    let image = published_with_mode(&site, 0o644);
    // The pool, then the whole retirement.
    for call in 1..=4 {
        site.cloud.fail(call, Fault::Pretend);
    }
    let before = site.image(image);
    let (reason, message) = site.condition(None);
    assert_eq!(reason, Reason::RetirementIncomplete, "{message}");
    assert!(message.contains("expected it DISABLED, found READY"), "{message}");
    assert_eq!(site.image(image), before);
    site.converge(&[Want(IDENTIFIER, None)]);
}

#[test]
fn an_old_version_that_is_not_wholly_out_of_circulation_is_told_beside_the_new_one() {
    for (dialect, mode) in EVERY {
        let mut site = Credential::User.site_of(dialect, mode);
        site.settings.retired = Retired::default();
        let old = published_with_mode(&site, 0o600);
        site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
        site.cloud.world(|world| world.advance(1));
        for _ in 0..3 {
            let outcome = site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap().outcomes.remove(0);
            assert!(matches!(outcome.verdict, Verdict::Published { .. }), "{:?}", outcome.verdict);
            let [(reason, message)] = &outcome.unfinished[..] else { panic!("{:?}", outcome.unfinished) };
            assert_eq!(*reason, Reason::NotAuthorized);
            assert!(
                message.contains(&format!("image {old} ")) && message.contains("expected owner oneadmin"),
                "{message}"
            );
        }
        let found = site.image(old);
        assert_eq!(
            (found.state, found.uid, role(&found)),
            (State::Disabled, CATCHER, "retired"),
            "closed all the same"
        );
        // Without a call about owners nothing is missing.
        site.settings.retired = Credential::User.site().settings.retired;
        site.publish(2);
    }
}

#[test]
fn an_image_that_was_given_away_and_is_hidden_is_not_registered_again() {
    for (dialect, mode) in EVERY {
        let site = Credential::User.site_of(dialect, mode);
        let image = site.publish(1);
        let hide = |uid: u32| {
            site.cloud.world(|world| (world.image(image).uid, world.image(image).permissions) = (uid, 0o600));
        };
        hide(ALICE);
        site.cloud.take_calls();
        for wanted in [Some(1), Some(2), None, Some(1)] {
            let (reason, message) = site.condition(wanted);
            assert_eq!(reason, Reason::NotAuthorized, "{wanted:?}: {message}");
            assert!(message.contains(&format!("image {image}, which was published from here, is hidden")), "{message}");
        }
        let calls = site.cloud.take_calls();
        assert!(calls.iter().all(|call| !call.is_write()), "{calls:?}");
        let looks = calls.iter().filter(|call| call.method == "one.image.info").count();
        assert_eq!(looks, 4, "one look a pass at the one that is missing");
        // It is shown again: everything goes on. Nothing was forgotten.
        hide(CATCHER);
        assert_eq!(site.publish(1), image);
        // It is deleted: that is no secret.
        hide(ALICE);
        assert_eq!(site.condition(Some(1)).0, Reason::NotAuthorized);
        site.cloud.world(|world| drop(world.images.remove(&image)));
        assert_ne!(site.publish(1), image);
        assert_eq!(site.images().len(), 1);
    }
}

/// Whoever gives retired images away and sees them no more does not take them for hidden.
#[test]
fn a_retired_image_that_is_out_of_sight_is_nobodys_business() {
    let mut site = Credential::User.site();
    site.settings.retired = Retired::default();
    site.cloud.world(|world| {
        world.allow(&format!("#{CATCHER} USER/#0 USE+MANAGE"));
        world.allow(&format!("#{CATCHER} GROUP/#0 USE"));
    });
    let old = site.publish(1);
    site.publish(2);
    let found = site.image(old);
    assert_eq!((found.uid, found.gid, found.permissions, found.state), (0, 0, 0o600, State::Disabled));
    site.cloud.take_calls();
    site.publish(2);
    assert!(site.cloud.take_calls().iter().all(|call| call.method != "one.image.info"));
    site.converge(&[Want(IDENTIFIER, None)]);
    assert_eq!(site.publish(3), 2);
}

/// Its owner can write on an image of ours what it likes. None of that keeps it in circulation.
#[test]
fn no_role_that_its_owner_writes_keeps_an_image_in_circulation() {
    for wanted in [None, Some(2)] {
        for forged in ["retired", "staged", "registering", ""] {
            for (name, in_use) in [(IDENTIFIER, false), ("mine-now", false), ("mine-now", true), (IDENTIFIER, true)] {
                let site = Site::new();
                let image = published_with_mode(&site, 0o644);
                site.cloud.world(|world| (world.image(image).uid, world.image(image).gid) = (ALICE, USERS));
                site.publish(1);
                site.cloud.world(|world| {
                    let image = world.image(image);
                    name.clone_into(&mut image.name);
                    image.attributes.insert("VMCATCHER_ROLE".to_owned(), forged.to_owned());
                    image.attributes.insert("VMCATCHER_EVENT_SL_CHECKSUM_SHA512".to_owned(), digest(3).to_string());
                });
                if in_use {
                    site.cloud.world(|world| world.start_vm(image, 1));
                }
                site.converge(&[Want(IDENTIFIER, wanted)]);
                let context = format!("{wanted:?} {forged} {name} {in_use}");
                let left = site.images().into_iter().find(|other| other.id == image);
                if let Some(left) = left {
                    assert_eq!(left.owner_and_mode(), (0, 0, 0o700), "{context}");
                    let version = &left.attributes["VMCATCHER_EVENT_SL_CHECKSUM_SHA512"];
                    assert_eq!(*version, digest(1).to_string(), "{context}: it is what it was registered as");
                }
            }
        }
    }
}
