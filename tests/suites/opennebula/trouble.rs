//! Everything that can be the matter with a cloud: each ends in a clear condition and recovers.

use harness::opennebula::{Dialect, Fault, Lock, State};
use jiff::SignedDuration;
use vmcatcher_operator::cloud::{Reason, Source, Wanted};
use vmcatcher_operator::opennebula::carry_over::UpdateMode;

use super::credential::{Credential, with_each_credential};
use super::site::{ALICE, BOB, IDENTIFIER, Site, Want, role, wanted};

with_each_credential! {
    a_persistent_image_is_waited_for
    a_users_lock_is_waited_for
    a_lock_set_while_the_new_image_is_copied_holds_the_change_up
    a_copy_that_never_ends_is_given_up_after_three_hours
    a_directory_the_cloud_may_not_read_is_told_with_the_setting
    a_path_that_is_not_there_is_told
    an_image_that_ends_in_error_is_deleted_and_tried_again_with_growing_pauses
    an_error_image_that_somebody_enabled_is_not_taken_for_one
    the_site_renames_deletes_gives_away_and_disables
    the_name_is_given_back_at_once_though_a_new_version_is_on_its_way
    a_removal_by_hand_that_still_runs_is_waited_for
    a_cloud_that_is_gone_or_says_no_is_told_and_nothing_is_lost
    deletion_waits_for_its_time_for_the_last_vm_and_for_a_successor
    metadata_alone_changes_attributes_alone
    an_identifier_that_cannot_be_a_name_there_is_refused_with_its_length
    a_registration_without_an_answer_is_waited_for_before_nothing_is_said_to_be_there
}

fn a_persistent_image_is_waited_for(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    site.cloud.world(|world| {
        world.image(old).persistent = true;
        world.start_vm(old, 1);
    });
    site.cloud.take_calls();
    let (reason, message) = site.condition(Some(2));
    assert_eq!(reason, Reason::ImagePersistent);
    assert!(message.contains(&format!("image {old}")) && message.contains("persistent"), "{message}");
    assert!(site.cloud.take_calls().iter().all(|call| !call.is_write()), "nothing is uploaded in vain");
    assert_eq!(site.condition(None).0, Reason::ImagePersistent, "nor is it withdrawn");
    site.cloud.world(|world| {
        world.stop_vms(old);
        world.image(old).persistent = false;
    });
    site.publish(2);
}

fn a_users_lock_is_waited_for(who: Credential) {
    for level in 1..=4 {
        let site = who.site();
        let old = site.publish(1);
        site.cloud.world(|world| world.image(old).lock = Some(Lock { level, owner: ALICE, time: 0 }));
        assert_eq!(site.condition(Some(1)).0, Reason::Published, "what is published stays so");
        let (reason, message) = site.condition(Some(2));
        assert_eq!(reason, Reason::ImageLocked);
        assert!(message.contains("locked by user 2"), "{message}");
        assert_eq!(site.condition(None).0, Reason::ImageLocked);
        site.cloud.world(|world| world.image(old).lock = None);
        site.publish(2);
    }
}

fn a_lock_set_while_the_new_image_is_copied_holds_the_change_up(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    site.cloud.world(|world| world.image(old).lock = Some(Lock { level: 2, owner: BOB, time: 0 }));
    assert_eq!(site.condition(Some(2)).0, Reason::ImageLocked);
    assert_eq!(site.image(old).name, IDENTIFIER);
    site.cloud.world(|world| world.image(old).lock = None);
    site.publish(2);
}

fn a_copy_that_never_ends_is_given_up_after_three_hours(who: Credential) {
    for dialect in [Dialect::V5_12, Dialect::V7_4] {
        for mode in [UpdateMode::Staged, UpdateMode::InPlace] {
            let site = who.site_of(dialect, mode);
            site.cloud.world(|world| world.copy_seconds = None);
            site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
            for _ in 0..3 {
                site.cloud.world(|world| world.advance(3600));
                assert_eq!(site.condition(Some(1)).0, Reason::Importing, "an hour, two, three");
            }
            site.cloud.world(|world| world.advance(1));
            let (reason, message) = site.condition(Some(1));
            if who != Credential::Oneadmin && dialect == Dialect::V7_4 {
                // To delete what is being copied is an administrator's.
                assert_eq!(reason, Reason::NotAuthorized);
                assert!(message.contains("Not authorized to perform ADMIN IMAGE [0]"), "{message}");
                site.cloud.world(|world| world.images.clear());
                site.cloud.world(|world| (world.copy_seconds, world.clock) = (Some(0), world.clock + 61));
                site.publish(1);
                continue;
            }
            assert_eq!(reason, Reason::ImportFailed);
            assert!(message.contains("still LOCKED after 180 minutes"), "{message}");
            assert!(site.images().is_empty(), "deleted, by force where that is needed");
            assert_eq!(site.condition(Some(1)).0, Reason::ImportFailed, "and not at once tried again");
            site.cloud.world(|world| {
                world.copy_seconds = Some(0);
                world.advance(60);
            });
            site.publish(1);
        }
    }
}

fn a_directory_the_cloud_may_not_read_is_told_with_the_setting(who: Credential) {
    let mut site = who.site();
    site.wanted = |version| {
        let location = format!("/srv/vmcatcher/{version}.qcow2");
        Wanted { source: wanted(version).source.map(|source| Source { location, ..source }), ..wanted(version) }
    };
    let file = harness::opennebula::File { size_mb: 10, ..harness::opennebula::File::default() };
    site.cloud.world(|world| drop(world.files.insert("/srv/vmcatcher/1.qcow2".to_owned(), file)));
    site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
    let (reason, message) = site.condition(Some(1));
    assert_eq!(reason, Reason::ImportFailed);
    assert!(message.contains("check RESTRICTED_DIRS") && message.contains("must be in SAFE_DIRS"), "{message}");
    site.cloud.world(|world| {
        world.datastores.get_mut(&1).unwrap().safe_dirs.push("/srv/vmcatcher".to_owned());
        world.advance(61);
    });
    site.publish(1);
}

fn a_path_that_is_not_there_is_told(who: Credential) {
    for (dialect, text) in [(Dialect::V7_4, "No such file or directory"), (Dialect::V5_12, "File not found")] {
        let site = who.site_of(dialect, UpdateMode::Staged);
        site.cloud.world(|world| world.any_file = None);
        let (reason, message) = site.condition(Some(1));
        assert_eq!(reason, Reason::ImportFailed);
        assert!(message.contains(text) && message.contains("as its front-end sees it"), "{message}");
    }
}

#[test]
fn a_quota_and_a_full_datastore_are_told_and_passed() {
    let mut site = Site::new();
    site.cloud.world(|world| {
        world.add_user(9, "limited", "limitedpw", 1);
        world.users.get_mut(&9).unwrap().image_quota = Some(0);
    });
    site.act_as("limited:limitedpw");
    let (reason, message) = site.condition(Some(1));
    assert_eq!(reason, Reason::ImportFailed);
    assert!(message.contains("limit of 0 reached for IMAGES quota"), "{message}");
    site.cloud.world(|world| {
        world.users.get_mut(&9).unwrap().image_quota = None;
        world.datastores.get_mut(&1).unwrap().free_mb = 0;
        world.advance(61);
    });
    assert!(site.condition(Some(1)).1.contains("Not enough space"));
    site.cloud.world(|world| {
        world.datastores.get_mut(&1).unwrap().free_mb = 11;
        world.advance(121);
    });
    site.publish(1);
}

#[test]
fn a_quota_of_the_owner_holds_the_change_up_and_leaves_the_old_image() {
    // Who can give images to somebody else.
    for who in [Credential::Oneadmin, Credential::GroupAdministrator] {
        let (site, owner) = (who.site(), who.customer());
        let old = site.publish(1);
        site.cloud.world(|world| {
            let image = world.image(old);
            (image.uid, image.gid) = owner;
            world.users.get_mut(&owner.0).unwrap().image_quota = Some(1);
        });
        site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
        let (reason, message) = site.condition(Some(2));
        assert_eq!(reason, Reason::ImportFailed);
        assert!(message.contains("limit of 1 reached"), "{message}");
        assert_eq!(site.image(old).name, IDENTIFIER);
        site.cloud.world(|world| world.users.get_mut(&owner.0).unwrap().image_quota = Some(2));
        site.publish(2);
    }
}

fn an_image_that_ends_in_error_is_deleted_and_tried_again_with_growing_pauses(who: Credential) {
    let site = who.site();
    site.cloud.world(|world| world.copy_failure = Some("No space left on device".to_owned()));
    let mut tries = Vec::new();
    for minute in 0..40 {
        site.pass(&[Want(IDENTIFIER, Some(1))]).unwrap();
        let calls = site.cloud.take_calls();
        if calls.iter().any(|call| call.method == "one.image.allocate") {
            tries.push(minute);
        }
        site.cloud.world(|world| world.advance(60));
    }
    assert_eq!(tries, [0, 2, 5, 10, 19, 36]);
    assert!(site.images().len() <= 1, "failed ones do not pile up");
    assert_eq!(site.record(IDENTIFIER).failures, 6);
    site.cloud.world(|world| {
        world.copy_failure = None;
        world.advance(3600);
    });
    site.publish(1);
    assert_eq!(site.record(IDENTIFIER).failures, 0);
}

fn an_error_image_that_somebody_enabled_is_not_taken_for_one(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    site.cloud.world(|world| world.copy_failure = Some("Error copying".to_owned()));
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    site.cloud.world(|world| {
        let image = world.images.values_mut().find(|image| image.state == State::Error).unwrap();
        image.state = State::Ready;
    });
    assert_eq!(site.condition(Some(2)).0, Reason::ImportFailed);
    assert_eq!(site.image(old).name, IDENTIFIER);
}

fn the_site_renames_deletes_gives_away_and_disables(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    site.cloud.world(|world| {
        let image = world.image(image);
        (image.uid, image.gid) = who.customer();
        (image.permissions, image.state) = (0o604, State::Disabled);
        "my-favourite".clone_into(&mut image.name);
        image.attributes.insert("VMCATCHER_EVENT_DC_TITLE".to_owned(), "Another title".to_owned());
        image.attributes.remove("VMCATCHER_EVENT_SL_OS");
    });
    assert_eq!(site.publish(1), image);
    let repaired = site.image(image);
    assert_eq!(repaired.name, IDENTIFIER, "the name is ours");
    assert_eq!(repaired.attributes["VMCATCHER_EVENT_DC_TITLE"], "CernVM 4", "the attributes are ours");
    assert_eq!(repaired.attributes["VMCATCHER_EVENT_SL_OS"], "Linux");
    let left = (repaired.uid, repaired.gid, repaired.permissions, repaired.state);
    let (uid, gid) = who.customer();
    assert_eq!(left, (uid, gid, 0o604, State::Disabled), "the rest is the site's");
    site.publish(1);
    site.cloud.world(|world| drop(world.images.remove(&image)));
    let again = site.image(site.publish(1));
    let found = (again.name.as_str(), again.uid, again.gid, again.permissions, again.state);
    assert_eq!(
        found,
        (IDENTIFIER, uid, gid, 0o604, State::Disabled),
        "existence is ours, and the site's is remembered"
    );
}

fn the_name_is_given_back_at_once_though_a_new_version_is_on_its_way(who: Credential) {
    let site = who.site();
    let old = site.publish(1);
    site.cloud.world(|world| {
        world.copy_seconds = Some(1000);
        "moved-away".clone_into(&mut world.image(old).name);
    });
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    assert_eq!(site.image(old).name, IDENTIFIER);
    site.cloud.world(|world| "moved-away".clone_into(&mut world.image(old).name));
    site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap();
    assert_eq!(site.image(old).name, IDENTIFIER, "while it is copied too");
}

fn a_removal_by_hand_that_still_runs_is_waited_for(who: Credential) {
    let site = who.site();
    let image = site.publish(1);
    site.cloud.world(|world| {
        let due = Some((world.clock + 100, harness::opennebula::Due::Gone));
        let image = world.image(image);
        (image.state, image.due) = (State::Delete, due);
    });
    let (reason, message) = site.condition(Some(1));
    assert_eq!(reason, Reason::Importing);
    assert!(message.contains("is being removed"), "{message}");
    site.cloud.world(|world| world.advance(101));
    site.publish(1);
}

fn a_cloud_that_is_gone_or_says_no_is_told_and_nothing_is_lost(who: Credential) {
    let mut site = who.site();
    let image = site.publish(1);
    site.cloud.die_after(0);
    let error = site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap_err();
    assert_eq!(error.reason(), Reason::CloudUnreachable);
    site.cloud.recover();
    site.cloud.fail(1, Fault::Drop);
    let wants: Vec<String> = (0..20).map(|number| format!("image-{number}")).collect();
    let wants: Vec<_> = wants.iter().map(|name| Want(name, Some(1))).collect();
    let report = site.pass(&wants).unwrap();
    let unreachable =
        report.outcomes.iter().filter(|outcome| super::site::condition(&outcome.verdict).0 == Reason::CloudUnreachable);
    assert!(unreachable.count() >= 12, "when it goes away in a pass, what was not begun is not begun");
    site.act_as("alice:alicepw");
    let (reason, message) = site.condition(Some(1));
    assert_eq!(reason, Reason::NotAuthorized, "it is there, and alice cannot see it: {message}");
    assert!(message.contains(&format!("image {image}")), "{message}");
    assert_eq!(site.images().iter().filter(|image| image.name == IDENTIFIER).count(), 1, "not registered again");
    site.act_as("alice:wrong");
    let error = site.pass(&[Want(IDENTIFIER, Some(2))]).unwrap_err();
    assert_eq!(error.reason(), Reason::NotAuthorized);
    assert!(!error.to_string().contains("wrong"), "{error}");
}

fn deletion_waits_for_its_time_for_the_last_vm_and_for_a_successor(who: Credential) {
    let mut site = who.site();
    site.settings.retired.delete_after = Some(SignedDuration::from_hours(48));
    let first = site.publish(1);
    let second = site.publish(2);
    site.cloud.world(|world| world.advance(47 * 3600));
    site.converge(&[Want(IDENTIFIER, Some(2))]);
    assert_eq!(role(&site.image(first)), "retired");
    site.cloud.world(|world| {
        world.advance(2 * 3600);
        world.image(second).state = State::Disabled;
    });
    site.converge(&[Want(IDENTIFIER, Some(2))]);
    assert_eq!(role(&site.image(first)), "retired", "no successor is enabled");
    site.cloud.world(|world| world.image(second).state = State::Ready);
    site.converge(&[Want(IDENTIFIER, Some(2))]);
    let left: Vec<_> = site.images().into_iter().map(|image| image.id).collect();
    assert_eq!(left, [second]);
    site.converge(&[Want(IDENTIFIER, None)]);
    site.cloud.world(|world| world.advance(1000 * 3600));
    site.converge(&[Want(IDENTIFIER, None)]);
    assert_eq!(site.images().len(), 1, "the only version is never deleted");
}

fn metadata_alone_changes_attributes_alone(who: Credential) {
    let mut site = who.site();
    let image = site.publish(1);
    site.cloud.take_calls();
    site.wanted = |version| {
        let mut wanted = wanted(version);
        wanted.event.title = Some("A better title".to_owned());
        wanted.event.vo = None;
        wanted
    };
    assert_eq!(site.publish(1), image);
    let writes: Vec<_> = site.cloud.take_calls().into_iter().filter(harness::opennebula::Call::is_write).collect();
    assert!(writes.iter().all(|call| call.method == "one.image.update"), "{writes:?}");
    let attributes = site.image(image).attributes;
    assert_eq!(attributes["VMCATCHER_EVENT_DC_TITLE"], "A better title");
    assert_eq!(attributes["VMCATCHER_EVENT_VO"], "", "what the list no longer says is emptied");
    let (uid, gid) = who.owner();
    assert_eq!(site.image(image).owner_and_mode(), (uid, gid, 0o600));
}

fn an_identifier_that_cannot_be_a_name_there_is_refused_with_its_length(who: Credential) {
    let site = who.site();
    let long = "a".repeat(97);
    let report = site.pass(&[Want(&long, Some(1)), Want(IDENTIFIER, Some(1))]).unwrap();
    let (reason, message) = super::site::condition(&report.outcomes[0].verdict);
    assert_eq!(reason, Reason::NameConflict);
    assert!(message.contains("at most 96, found 97"), "{message}");
    assert_eq!(site.images().len(), 1, "the other one is registered");
}

fn a_registration_without_an_answer_is_waited_for_before_nothing_is_said_to_be_there(who: Credential) {
    let site = who.site();
    let call_of_registration = 4;
    site.cloud.fail(call_of_registration, Fault::Drop);
    assert_eq!(site.condition(Some(1)).0, Reason::CloudUnreachable);
    let (reason, message) = site.condition(None);
    assert_eq!(reason, Reason::Importing, "the server may be at it yet");
    assert!(message.contains("not answered"), "{message}");
    site.cloud.world(|world| world.advance(599));
    assert_eq!(site.condition(None).0, Reason::Importing);
    site.cloud.world(|world| world.advance(1));
    assert_eq!(site.condition(None).0, Reason::Retired);
    // One that was refused will not come.
    site.cloud.world(|world| world.any_file = None);
    assert_eq!(site.condition(Some(1)).0, Reason::ImportFailed);
    assert_eq!(site.condition(None).0, Reason::Retired);
}
