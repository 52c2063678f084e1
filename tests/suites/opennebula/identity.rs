//! Which images are ours: what was kept, and who could have made them. Never what an image says alone.

use std::collections::BTreeMap;

use harness::opennebula::{Dialect, State, World};
use vmcatcher_operator::cloud::{Claim, Reason};
use vmcatcher_operator::opennebula::carry_over::{Reference, UpdateMode};

use super::credential::{Credential, with_each_credential};
use super::site::{ALICE, BOB, IDENTIFIER, ONEADMIN, SITES, Site, USERS, Want, digest, role};

with_each_credential! {
    a_tenants_forged_image_is_never_taken_for_ours
    an_owner_cannot_make_its_image_another_version_or_another_image
    an_owner_who_says_its_image_is_retired_gains_nothing
    an_image_of_a_user_or_of_cloudkeeper_is_adopted_when_a_person_says_so
    two_operators_on_one_cloud_do_not_touch_each_others_images
    a_name_that_somebody_else_has_is_told_with_the_image
    ids_of_a_cloud_that_was_built_anew_are_not_believed
    a_lost_volume_finds_its_images_again
    an_owner_who_writes_another_operators_name_on_our_image_does_not_make_it_disappear
}

/// An image that says it is ours, in a role and of a version.
fn put_claiming(world: &mut World, uid: u32, gid: u32, role: &str, version: u8) -> u32 {
    let id = world.put(IDENTIFIER, uid, gid, 0o644);
    let attributes = [
        ("VMCATCHER_EVENT_DC_IDENTIFIER", IDENTIFIER),
        ("VMCATCHER_EVENT_SL_CHECKSUM_SHA512", &digest(version).to_string()),
        ("VMCATCHER_OPERATOR", "site/default"),
        ("VMCATCHER_ROLE", role),
        ("VMCATCHER_REMEMBERED_UID", "3"),
        ("VMCATCHER_REMEMBERED_GID", "0"),
        ("VMCATCHER_REMEMBERED_PERMISSIONS", "777"),
        ("VMCATCHER_REMEMBERED_ENABLED", "YES"),
        ("VMCATCHER_RETIRED_TIME", "2035-01-01T00:00:00Z"),
    ];
    for (name, value) in attributes {
        world.image(id).attributes.insert(name.to_owned(), value.to_owned());
    }
    id
}

fn a_tenants_forged_image_is_never_taken_for_ours(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        for role in ["current", "staged", "registering", "retired", ""] {
            let site = who.site_of(Dialect::V7_4, mode);
            let forged = site.cloud.world(|world| put_claiming(world, ALICE, SITES, role, 1));
            let before = site.image(forged);
            let image = site.publish(1);
            assert_ne!(image, forged);
            let ours = site.image(image);
            let (uid, gid) = who.owner();
            assert_eq!(ours.owner_and_mode(), (uid, gid, 0o600), "{mode:?} {role}");
            site.publish(2);
            site.converge(&[Want(IDENTIFIER, None)]);
            assert_eq!(site.image(forged), before, "{mode:?} {role}: not touched");
            let report = site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
            assert_eq!(report.outcomes[0].strangers, [forged], "but told");
        }
    }
}

fn an_owner_cannot_make_its_image_another_version_or_another_image(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    site.converge(&[Want("another", Some(1))]);
    site.cloud.world(|world| {
        let image = world.image(image);
        (image.uid, image.gid) = who.customer();
        image.attributes.insert("VMCATCHER_EVENT_SL_CHECKSUM_SHA512".to_owned(), digest(2).to_string());
        image.attributes.insert("VMCATCHER_EVENT_DC_IDENTIFIER".to_owned(), "another".to_owned());
    });
    site.converge(&[Want(IDENTIFIER, Some(1)), Want("another", Some(1))]);
    let repaired = site.image(image);
    assert_eq!(repaired.attributes["VMCATCHER_EVENT_SL_CHECKSUM_SHA512"], digest(1).to_string());
    assert_eq!(repaired.attributes["VMCATCHER_EVENT_DC_IDENTIFIER"], IDENTIFIER);
    site.cloud.world(|world| {
        let attributes = &mut world.image(image).attributes;
        attributes.insert("VMCATCHER_EVENT_SL_CHECKSUM_SHA512".to_owned(), digest(2).to_string());
    });
    let new = site.publish(2);
    assert_ne!(new, image, "version 2 is uploaded, whatever the old image says it is");
    assert_eq!(site.image(new).uid, who.customer().0);
}

fn an_owner_who_says_its_image_is_retired_gains_nothing(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    site.cloud.world(|world| {
        let image = world.image(image);
        (image.uid, image.gid) = who.customer();
        // The group may manage it, whoever owns it.
        image.permissions = 0o660;
    });
    site.publish(1);
    site.cloud.world(|world| {
        let forged = put_claiming(world, BOB, USERS, "retired", 1);
        let attributes = world.images.remove(&forged).unwrap().attributes;
        world.image(image).attributes.extend(attributes);
    });
    let new = site.publish(2);
    let found = site.image(new);
    let (uid, gid) = who.customer();
    assert_eq!(found.owner_and_mode(), (uid, gid, 0o660), "as it was when it was current");
}

#[test]
fn the_original_handlers_images_are_adopted() {
    for (uid, gid) in [(ONEADMIN, ONEADMIN), (ALICE, ONEADMIN)] {
        let site = Site::new();
        let (current, expired) = site.cloud.world(|world| {
            let handlers = |world: &mut World, name: &str, uid, gid, version| {
                let id = world.put(name, uid, gid, 0o644);
                let digest = digest(version).to_string();
                let given =
                    [("VMCATCHER_EVENT_DC_IDENTIFIER", IDENTIFIER), ("VMCATCHER_EVENT_SL_CHECKSUM_SHA512", &digest)];
                let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
                world.image(id).attributes.extend(BTreeMap::from(given));
                id
            };
            let expired = format!("{IDENTIFIER}_EXPIRED_2014-05-01_10-00-00_+0000-UTC");
            let expired = handlers(world, &expired, ONEADMIN, ONEADMIN, 9);
            world.image(expired).state = State::Disabled;
            (handlers(world, IDENTIFIER, uid, gid, 1), expired)
        });
        let before = site.image(expired);
        let first = site.publish(1);
        if uid == ONEADMIN {
            assert_eq!(first, current, "nothing is uploaded for the version that is there");
        } else {
            assert_ne!(first, current, "its owner could have written the version: it is not believed, and replaced");
        }
        assert_eq!(site.image(current).attributes["VMCATCHER_OPERATOR"], "site/default");
        let new = site.publish(2);
        let image = site.image(new);
        assert_eq!((image.uid, image.gid, image.permissions), (uid, gid, 0o644));
        assert_eq!(role(&site.image(current)), "retired");
        assert_eq!(site.image(expired), before, "what it retired is left alone");
    }
}

fn an_image_of_a_user_or_of_cloudkeeper_is_adopted_when_a_person_says_so(who: Credential) {
    let mut site = who.site();
    let image = site.cloud.world(|world| {
        let (uid, gid) = who.customer();
        let id = world.put("CernVM by cloudkeeper", uid, gid, 0o640);
        world.image(id).attributes.insert("CLOUDKEEPER_APPLIANCE_ID".to_owned(), IDENTIFIER.to_owned());
        id
    });
    let before = site.image(image);
    let first = site.publish(1);
    assert_ne!(first, image);
    assert_eq!(site.image(image), before);
    site.cloud.world(|world| drop(world.images.remove(&first)));
    site.kept.0.lock().unwrap().clear();
    site.adopt = Some(image);
    site.settings.adopt.owners = vec![Reference::Id(before.uid)];
    let new = site.publish(1);
    assert_ne!(new, image, "its version is not known, so it is replaced");
    let found = site.image(new);
    let (uid, gid) = who.customer();
    assert_eq!((found.name.as_str(), found.owner_and_mode()), (IDENTIFIER, (uid, gid, 0o640)));
    let replaced = site.image(image);
    assert_eq!((role(&replaced), replaced.owner_and_mode()), ("retired", who.retired()));
}

fn two_operators_on_one_cloud_do_not_touch_each_others_images(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        let mut site = who.site_of(Dialect::V7_4, mode);
        let image = site.publish(1);
        let mine = site.kept.0.lock().unwrap().clone();
        let other = Claim { instance: "other".to_owned(), namespace: "default".to_owned() };
        let own = std::mem::replace(&mut site.settings.claim, other);
        site.kept.0.lock().unwrap().clear();
        site.cloud.take_calls();
        for wanted in [Some(1), Some(2)] {
            let (reason, message) = site.condition(wanted);
            assert_eq!(reason, Reason::NameConflict);
            assert!(message.contains(&format!("image {image}")) && message.contains("site/default"), "{message}");
        }
        assert_eq!(site.condition(None).0, Reason::Retired, "nothing of the other one's is in circulation");
        assert!(site.cloud.take_calls().iter().all(|call| !call.is_write()));
        // The first one withdraws; then the second may have the name.
        let theirs = std::mem::replace(&mut site.settings.claim, own);
        *site.kept.0.lock().unwrap() = mine;
        site.converge(&[Want(IDENTIFIER, None)]);
        site.settings.claim = theirs;
        site.kept.0.lock().unwrap().clear();
        let new = site.publish(1);
        assert_ne!(new, image);
        assert_eq!(role(&site.image(image)), "retired");
    }
}

fn a_name_that_somebody_else_has_is_told_with_the_image(who: Credential) {
    for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
        let site = who.site_of(Dialect::V7_4, mode);
        let foreign = site.cloud.world(|world| world.put(IDENTIFIER, who.owner().0, USERS, 0o644));
        let (reason, message) = site.condition(Some(1));
        assert_eq!(reason, Reason::NameConflict);
        let name = who.session().split(':').next().unwrap();
        assert!(message.contains(&format!("image {foreign} of {name}")), "{message}");
        assert_eq!(site.images().len(), 1, "nothing is uploaded in vain");
        site.cloud.world(|world| "moved".clone_into(&mut world.image(foreign).name));
        let image = site.publish(1);
        // Two people of one cloud may own images of one name.
        site.cloud.world(|world| world.put(IDENTIFIER, BOB, USERS, 0o644));
        assert_eq!(site.publish(1), image);
        let (owner, _) = who.customer();
        site.cloud.world(|world| world.image(image).uid = owner);
        let new = site.publish(2);
        assert_eq!(site.cloud.world(|world| world.find(IDENTIFIER, owner).cloned()).unwrap().id, new);
    }
}

fn ids_of_a_cloud_that_was_built_anew_are_not_believed(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    site.cloud.world(|world| {
        world.images.clear();
        world.next_image = 0;
        world.advance(1000);
        assert_eq!(world.put("somebody's", ALICE, SITES, 0o600), image, "the id is used again");
    });
    let before = site.image(image);
    if who != Credential::Oneadmin {
        // An image of that id is there, and hidden: it could be ours.
        let (reason, message) = site.condition(Some(1));
        assert_eq!(reason, Reason::NotAuthorized);
        assert!(message.contains(&format!("image {image}")), "{message}");
        site.kept.0.lock().unwrap().clear();
    }
    assert_ne!(site.publish(1), image);
    assert_eq!(site.image(image), before);
}

fn a_lost_volume_finds_its_images_again(who: Credential) {
    let mut site = who.site();
    if who == Credential::Oneadmin {
        site.settings.retired.owner = Reference::Name("oneadmin".to_owned());
    }
    let first = site.publish(1);
    let second = site.publish(2);
    site.kept.0.lock().unwrap().clear();
    site.restart();
    assert_eq!(site.publish(2), second);
    assert_eq!(site.record(IDENTIFIER).images.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(site.publish(1), first);
}

fn an_owner_who_writes_another_operators_name_on_our_image_does_not_make_it_disappear(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    site.cloud.world(|world| {
        (world.image(image).uid, world.image(image).gid) = who.customer();
    });
    site.publish(1);
    let claim = |text: &str| {
        site.cloud.world(|world| {
            world.image(image).attributes.insert("VMCATCHER_OPERATOR".to_owned(), text.to_owned());
        });
    };
    let ours = site.image(image).attributes["VMCATCHER_OPERATOR"].clone();
    claim("elsewhere/default");
    for wanted in [None, Some(1), Some(2), None, None] {
        let (reason, message) = site.condition(wanted);
        assert_eq!(reason, Reason::NameConflict, "{wanted:?}: it is there, and not said to be out of circulation");
        assert!(message.contains(&format!("image {image}")) && message.contains("elsewhere/default"), "{message}");
    }
    claim(&ours);
    assert_eq!(site.condition(None).0, Reason::Retired);
    assert_eq!(site.image(image).owner_and_mode(), who.retired());
}

/// What a tenant may manage, a tenant may have written, whoever owns it. It matters when nothing is remembered.
#[test]
fn a_version_that_a_tenant_could_have_written_is_not_believed() {
    for mode in [0o660, 0o606, 0o640, 0o644] {
        let site = Site::new();
        let image = site.publish(1);
        site.cloud.world(|world| {
            let image = world.image(image);
            (image.gid, image.permissions) = (SITES, mode);
            image.attributes.insert("VMCATCHER_EVENT_SL_CHECKSUM_SHA512".to_owned(), digest(2).to_string());
        });
        site.kept.0.lock().unwrap().clear();
        let new = site.publish(2);
        assert_eq!(new == image, mode & 0o022 == 0, "{mode:o}");
        assert_eq!(site.image(new).owner_and_mode(), (ONEADMIN, SITES, mode), "it is carried over all the same");
        // Nor is it afterwards, when it belongs to nobody but us.
        if new != image {
            site.kept.0.lock().unwrap().clear();
            site.publish(3);
            assert_ne!(site.publish(2), image, "{mode:o}");
        }
    }
}

#[test]
fn the_original_handlers_images_are_left_to_who_may_manage_them() {
    for who in [Credential::GroupAdministrator, Credential::User] {
        let site = who.site();
        let image = site.cloud.world(|world| {
            let id = world.put(IDENTIFIER, ONEADMIN, ONEADMIN, 0o644);
            let identifier = ("VMCATCHER_EVENT_DC_IDENTIFIER".to_owned(), IDENTIFIER.to_owned());
            world.image(id).attributes.extend([identifier]);
            id
        });
        let before = site.image(image);
        site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
        let (reason, message) = site.condition(Some(1));
        assert_eq!(reason, Reason::NotAuthorized, "{message}");
        assert_eq!(site.image(image), before);
    }
}

#[test]
fn an_image_is_adopted_only_where_everything_says_so() {
    let refused = |site: &mut Site, image: u32, why: &str| {
        site.adopt = Some(image);
        let before = site.image(image);
        site.cloud.take_calls();
        let (reason, message) = site.condition(Some(1));
        assert_eq!(reason, Reason::AdoptionRefused, "{message}");
        assert!(message.contains(&format!("image {image} ")) && message.contains(why), "{why}: {message}");
        assert_eq!(site.condition(None).0, Reason::Retired, "nothing of ours is there");
        assert!(site.cloud.take_calls().iter().all(|call| !call.is_write()));
        assert_eq!(site.image(image), before, "{why}");
    };
    let says = |site: &Site, name: &str, value: &str| {
        site.cloud.world(|world| {
            let id = world.put("of alice", ALICE, SITES, 0o644);
            world.image(id).attributes.insert(name.to_owned(), value.to_owned());
            id
        })
    };
    // Neither it nor its owner is named by the target.
    let mut site = Site::new();
    let image = says(&site, "VMCATCHER_EVENT_DC_IDENTIFIER", IDENTIFIER);
    refused(&mut site, image, "openNebula.adopt of the target names neither it nor its owner");
    site.settings.adopt.images.insert(image + 1);
    site.settings.adopt.owners.push(Reference::Name("bob".to_owned()));
    refused(&mut site, image, "openNebula.adopt of the target names neither it nor its owner");
    // Another image, or none that a list knows.
    for (name, value, found) in [
        ("VMCATCHER_EVENT_DC_IDENTIFIER", "another", "found another"),
        ("CLOUDKEEPER_APPLIANCE_ID", "another", "found another"),
        ("TITLE", IDENTIFIER, "found no identifier"),
    ] {
        let mut site = Site::new();
        let image = says(&site, name, value);
        site.settings.adopt.owners.push(Reference::Name("alice".to_owned()));
        site.settings.adopt.images.insert(image);
        refused(&mut site, image, found);
    }
    // Another operator's, though all else is right.
    let mut site = Site::new();
    let image = says(&site, "VMCATCHER_EVENT_DC_IDENTIFIER", IDENTIFIER);
    site.cloud.world(|world| {
        world.image(image).attributes.insert("VMCATCHER_OPERATOR".to_owned(), "elsewhere/default".to_owned())
    });
    site.settings.adopt.images.insert(image);
    refused(&mut site, image, "belongs to the operator \"elsewhere/default\"");
    // By its id, or by its owner.
    for by_id in [true, false] {
        let mut site = Site::new();
        let image = says(&site, "VMCATCHER_EVENT_DC_IDENTIFIER", IDENTIFIER);
        site.cloud.world(|world| {
            // What its owner says of version and role is not believed.
            let said =
                [("VMCATCHER_EVENT_SL_CHECKSUM_SHA512", digest(1).to_string()), ("VMCATCHER_ROLE", "retired".into())];
            world.image(image).attributes.extend(said.map(|(name, value)| (name.to_owned(), value)));
        });
        site.adopt = Some(image);
        if by_id {
            site.settings.adopt.images.insert(image);
        } else {
            site.settings.adopt.owners.push(Reference::Name("alice".to_owned()));
        }
        let new = site.publish(1);
        assert_ne!(new, image);
        assert_eq!(site.image(new).owner_and_mode(), (ALICE, SITES, 0o644));
        assert_eq!(site.image(image).owner_and_mode(), (ONEADMIN, ONEADMIN, 0o700));
        // Out of circulation it belongs to oneadmin, and still is no version of ours.
        site.cloud.world(|world| (world.image(new).uid, world.image(new).gid) = (ONEADMIN, ONEADMIN));
        site.kept.0.lock().unwrap().clear();
        site.publish(2);
        assert_ne!(site.publish(1), image);
    }
}
