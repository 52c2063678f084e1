//! Uploads that fail, and clouds that refuse.

use super::change::fill;
use super::site::{Site, digest};
use super::world::refusal;
use crate::cloud::{PlannedImage as _, Reason};
use crate::openstack::carry_over::{Progress, Verdict};
use crate::openstack::error::OpenStackError;
use crate::openstack::image::{Image, ImageStatus, Visibility};

/// An upload of version 1 that failed like this, and what the next pass says of it.
fn failed(error: OpenStackError) -> (Site, Reason, String) {
    let site = Site::new();
    site.pass(Some(1)).unwrap();
    {
        let mut world = site.model.world();
        let id = *world.uploads.keys().next().unwrap();
        world.uploads.insert(id, Progress::Failed(error));
        world.images.get_mut(&id).unwrap().status = ImageStatus::Queued;
    }
    let outcome = site.pass(Some(1)).unwrap();
    let Verdict::Waiting { reason, message, .. } = outcome.verdict else { panic!("{outcome:?}") };
    assert!(!outcome.copying);
    (site, reason, message)
}

#[test]
fn a_failed_upload_is_repeated_into_the_same_image_or_begun_anew() {
    let broken = OpenStackError::UploadBroken {
        call: "PUT",
        endpoint: "http://g".to_owned(),
        sent: 5,
        size: 4096,
        message: "reset".to_owned(),
    };
    let not_leading = OpenStackError::NotLeading { call: "PUT" };
    let cases = [
        (broken, Reason::ImportFailed, true, true),
        (refusal(503, "busy"), Reason::CloudUnreachable, true, true),
        (refusal(413, "over a limit for [image_size_total]"), Reason::QuotaExceeded, true, true),
        (refusal(403, "You are not authorized to complete upload_image action."), Reason::NotAuthorized, true, true),
        (refusal(401, "no"), Reason::NotAuthorized, true, true),
        (refusal(415, "does not match stream data"), Reason::ImportFailed, false, true),
        (refusal(400, "Image size mismatch"), Reason::ImportFailed, false, true),
        (refusal(409, "not in the state"), Reason::Importing, true, false),
        (not_leading, Reason::CloudUnreachable, true, false),
    ];
    for (error, expected, same_image, pauses) in cases {
        let words = error.to_string();
        let (site, reason, message) = failed(error);
        assert_eq!((reason, &message), (expected, &words));
        assert_eq!(site.images().len(), usize::from(same_image), "{words}");
        let again = site.pass(Some(1)).unwrap();
        if pauses {
            let Verdict::Waiting { reason, message, until } = again.verdict else { panic!("{words}") };
            assert_eq!((reason, message, until.is_some()), (expected, words.clone(), true), "in its pause");
            assert_eq!(site.record().failures, 1, "counted once");
        }
        site.converge(Some(1));
        assert_eq!(site.record().failures, 0, "{words}");
        assert_eq!(site.model.world().used.len(), if same_image { 1 } else { 2 }, "{words}");
    }
}

#[test]
fn an_upload_that_glance_never_ended_is_given_up_after_a_pause() {
    let site = Site::new();
    site.pass(Some(1)).unwrap();
    let id = *site.model.world().uploads.keys().next().unwrap();
    {
        let mut world = site.model.world();
        let error = OpenStackError::Unreachable {
            call: "PUT",
            endpoint: "http://g".to_owned(),
            message: "connection reset".to_owned(),
        };
        world.uploads.insert(id, Progress::Failed(error));
        world.images.get_mut(&id).unwrap().status = ImageStatus::Saving;
    }
    for _ in 0..3 {
        let outcome = site.pass(Some(1)).unwrap();
        let Verdict::Waiting { reason, until, .. } = outcome.verdict else { panic!("{outcome:?}") };
        assert_eq!((reason, until.is_some(), outcome.copying), (Reason::CloudUnreachable, true, false));
        assert_eq!(site.record().failures, 1, "counted once");
    }
    site.model.world().advance(61);
    let outcome = site.pass(Some(1)).unwrap();
    assert!(outcome.done[0].starts_with(&format!("delete {id}")), "{outcome:?}");
    site.converge(Some(1));
    assert_eq!(site.images().len(), 1);
    assert_eq!(site.model.world().used.len(), 2, "an id is used once");
}

#[test]
fn an_image_that_was_deleted_during_its_upload_is_made_anew_at_once() {
    let site = Site::new();
    site.pass(Some(1)).unwrap();
    site.model.world().images.clear();
    site.model.world().finish_uploads();
    site.pass(Some(1)).unwrap();
    site.model.world().finish_uploads();
    assert!(matches!(site.pass(Some(1)).unwrap().verdict, Verdict::Published { .. }));
    assert_eq!(site.model.world().uploads.len(), 0, "the failure is forgotten");
}

type Change = fn(&mut Image);

#[test]
fn data_that_is_not_what_was_sent_is_deleted() {
    let wrong: [(Change, &str); 4] = [
        (|image| fill(image, digest(9)), "to have the SHA-512 0101"),
        (|image| (image.status, image.size) = (ImageStatus::Active, Some(0)), "to have data, found 0 bytes"),
        (
            |image| {
                fill(image, digest(1));
                image.os_hash_algo = Some("sha256".to_owned());
            },
            "expected Glance to compute SHA-512 (hashing_algorithm), found sha256",
        ),
        (|image| image.status = ImageStatus::Killed, "its status is killed"),
    ];
    for (change, expected) in wrong {
        let site = Site::new();
        site.pass(Some(1)).unwrap();
        {
            let mut world = site.model.world();
            world.uploads.clear();
            let id = *world.images.keys().next().unwrap();
            change(world.images.get_mut(&id).unwrap());
        }
        let outcome = site.pass(Some(1)).unwrap();
        assert!(outcome.verdict.to_string().contains(expected), "{}", outcome.verdict);
        assert!(site.images().is_empty() && site.record().failures == 1);
    }
}

#[test]
fn bytes_that_others_send_are_waited_for() {
    for status in [ImageStatus::Saving, ImageStatus::Importing] {
        let site = Site::new();
        site.pass(Some(1)).unwrap();
        {
            let mut world = site.model.world();
            world.uploads.clear();
            world.images.values_mut().for_each(|image| image.status = status.clone());
        }
        let outcome = site.pass(Some(1)).unwrap();
        assert!(outcome.copying && outcome.verdict.to_string().contains("on their way"), "{}", outcome.verdict);
        site.model.world().advance(4 * 3600);
        let outcome = site.pass(Some(1)).unwrap();
        assert!(outcome.verdict.to_string().contains("after 240 minutes"), "{}", outcome.verdict);
        assert!(site.images().is_empty());
    }
}

/// The last thing that an import does is to write the image, with the properties that it had before.
#[test]
fn an_import_has_ended_before_its_image_is_changed() {
    const TASK: &str = "os_glance_import_task";
    let site = Site::new();
    site.pass(Some(1)).unwrap();
    {
        let mut world = site.model.world();
        world.uploads.clear();
        let image = world.images.values_mut().next().unwrap();
        image.properties.insert(TASK.to_owned(), "1".to_owned());
        fill(image, digest(1));
    }
    let outcome = site.pass(Some(1)).unwrap();
    assert!(outcome.copying && outcome.done.is_empty(), "{outcome:?}");
    assert!(outcome.verdict.to_string().contains("are on their way (active)"), "{}", outcome.verdict);
    site.model.world().images.values_mut().for_each(|image| drop(image.properties.remove(TASK)));
    assert!(matches!(site.pass(Some(1)).unwrap().verdict, Verdict::Published { .. }));
}

#[test]
fn an_id_that_cannot_be_used_is_given_up() {
    let site = Site::new();
    let next = {
        let mut world = site.model.world();
        let id = world.fresh();
        uuid::Uuid::from_u128(((id.as_u128() >> 64) + 1) << 64 | ((id.as_u128() >> 64) + 1))
    };
    site.model.world().used.insert(next);
    let outcome = site.pass(Some(1)).unwrap();
    assert!(outcome.verdict.to_string().contains("already exists"), "{}", outcome.verdict);
    site.converge(Some(1));
    assert_ne!(site.current().id, next);
}

/// The policy lets no member make an image public, but the site's administrator made the old one public.
#[test]
fn what_the_policy_refuses_is_said_and_the_old_image_stays() {
    let site = Site::new();
    site.converge(Some(1));
    site.change(|image| image.visibility = Visibility::Public);
    site.model.world().member_may_publicise = false;
    for _ in 0..3 {
        site.pass(Some(2)).unwrap();
        site.model.world().finish_uploads();
    }
    let outcome = site.pass(Some(2)).unwrap();
    let said = outcome.verdict.to_string();
    assert!(said.starts_with("NotAuthorized") && said.contains("publicize_image must allow it"), "{said}");
    assert_eq!(site.current().visibility, Visibility::Public);
    let staged = site.only("staged").id;
    // An administrator does it by hand.
    site.model.world().images.get_mut(&staged).unwrap().visibility = Visibility::Public;
    site.converge(Some(2));
    assert_eq!(site.current().id, staged);
}

#[test]
fn a_deactivated_image_is_not_replaced_by_an_active_one() {
    let site = Site::new();
    site.converge(Some(1));
    site.change(|image| image.status = ImageStatus::Deactivated);
    site.model.world().owner_may_deactivate = false;
    for _ in 0..3 {
        site.pass(Some(2)).unwrap();
        site.model.world().finish_uploads();
    }
    let outcome = site.pass(Some(2)).unwrap();
    let said = outcome.verdict.to_string();
    assert!(said.starts_with("NotAuthorized") && said.contains("the policy deactivate must allow it"), "{said}");
    let staged = site.only("staged");
    assert!(staged.os_hidden && staged.visibility == Visibility::Private);
    site.model.world().owner_may_deactivate = true;
    site.converge(Some(2));
    assert_eq!(site.current().status, ImageStatus::Deactivated);
}

#[test]
fn where_the_policy_lets_nobody_deactivate_a_retired_image_stays_private() {
    let site = Site::new();
    site.model.world().owner_may_deactivate = false;
    site.converge(Some(1));
    let outcome = site.converge(Some(2));
    assert!(outcome.unfinished.is_empty(), "{:?}", outcome.unfinished);
    let old = site.only("retired");
    assert_eq!((old.status, old.visibility), (ImageStatus::Active, Visibility::Private));
    site.restart();
    assert!(site.plan(Some(2)).unwrap().images[0].is_idle(), "it is not tried again");
}

#[test]
fn a_held_plan_does_nothing() {
    let site = Site::new();
    site.converge(Some(1));
    let record = site.record();
    let mut plan = site.plan(Some(2)).unwrap().images.remove(0);
    assert!(plan.registers.is_some() && !plan.is_idle());
    let until = site.model.world().now;
    plan.hold(Reason::HookVetoed, "not now".to_owned(), until);
    assert!(plan.is_idle() && plan.registers.is_none() && !plan.record_changed() && plan.record == record);
}
