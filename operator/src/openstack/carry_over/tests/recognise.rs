//! Whose an image is.

use jiff::SignedDuration;
use uuid::Uuid;

use super::site::{IDENTIFIER, Site, claim, digest};
use super::world::PROJECT;
use crate::cloud::Reason;
use crate::openstack::carry_over::properties::property;
use crate::openstack::carry_over::{Outcome, Verdict};
use crate::openstack::image::{Image, ImageStatus, Visibility};

fn reason(outcome: &Outcome) -> Option<Reason> {
    match outcome.verdict {
        Verdict::Waiting { reason, .. } => Some(reason),
        Verdict::Published { .. } | Verdict::Retired => None,
    }
}

fn with(site: &Site, id: Uuid, change: impl FnOnce(&mut Image)) {
    change(site.model.world().images.get_mut(&id).unwrap());
}

#[test]
fn a_tenants_image_is_never_ours_whatever_it_says() {
    let site = Site::new();
    let (claim, sha512) = (claim().to_string(), digest(1).to_string());
    let all = [
        ("vmcatcher_event_dc_identifier", IDENTIFIER),
        ("vmcatcher_operator", claim.as_str()),
        ("vmcatcher_role", "current"),
        ("vmcatcher_event_sl_checksum_sha512", sha512.as_str()),
    ];
    let id = site.model.world().put("tenant", &all);
    with(&site, id, |image| {
        image.tags.insert("vmcatcher".to_owned());
        image.visibility = Visibility::Public;
        image.os_hash_value = Some(sha512.clone());
    });
    let before = site.images();
    let own = site.converge(Some(1));
    assert!(site.images().contains(&before[0]));
    assert!(matches!(own.verdict, Verdict::Published { id: own } if own != id));
    site.converge(None);
    assert!(site.images().contains(&before[0]));
}

#[test]
fn an_image_that_was_given_away_is_replaced_and_not_touched() {
    let site = Site::new();
    site.converge(Some(1));
    let id = site.current().id;
    with(&site, id, |image| (image.owner, image.visibility) = ("tenant".to_owned(), Visibility::Public));
    let before = site.images();
    let outcome = site.pass(Some(1)).unwrap();
    assert_eq!(outcome.strangers, [id]);
    assert!(outcome.notes[0].contains("belongs to the project tenant now"), "{:?}", outcome.notes);
    let outcome = site.converge(Some(1));
    assert!(matches!(outcome.verdict, Verdict::Published { id: new } if new != id));
    assert!(site.images().contains(&before[0]));
}

#[test]
fn two_operators_do_not_take_each_others_images() {
    let site = Site::new();
    let mut other = Site::new();
    other.settings.claim.instance = "other".to_owned();
    other.model.world().images.clear();
    site.converge(Some(1));
    let images = site.images();
    other.model.world().images.extend(images.iter().map(|image| (image.id, image.clone())));
    let outcome = other.pass(Some(2)).unwrap();
    assert_eq!(reason(&outcome), Some(Reason::NameConflict));
    assert!(outcome.verdict.to_string().contains(&images[0].id.to_string()), "{}", outcome.verdict);
    assert_eq!(other.images(), images);
    // One that the other operator retired is no conflict.
    with(&other, images[0].id, |image| {
        drop(image.properties.insert("vmcatcher_role".to_owned(), "retired".to_owned()))
    });
    assert!(matches!(other.converge(Some(2)).verdict, Verdict::Published { .. }));
    // A claim that somebody wrote on an image of the record: it is neither changed nor forgotten.
    with(&site, images[0].id, |image| drop(image.properties.insert("vmcatcher_operator".to_owned(), "x/y".to_owned())));
    for want in [Some(2), None] {
        let outcome = site.pass(want).unwrap();
        assert_eq!((reason(&outcome), outcome.done.len()), (Some(Reason::NameConflict), 0));
        assert_eq!(site.record().images.len(), 1);
    }
}

#[test]
fn what_a_person_removed_of_ours_is_repaired() {
    let site = Site::new();
    site.converge(Some(1));
    let before = site.current();
    for remove in ["vmcatcher_role", "vmcatcher_operator", "vmcatcher_event_dc_identifier"] {
        site.model.world().images.values_mut().for_each(|image| {
            image.properties.remove(remove);
            image.tags.clear();
        });
        site.converge(Some(1));
        assert_eq!(site.images(), [before.clone()], "{remove}");
    }
    site.change(|image| image.tags.extend(["vmcatcher-retired".to_owned()]));
    site.converge(Some(1));
    assert_eq!(site.images(), [before]);
}

/// The forms in which other programs write the identifier.
#[test]
fn an_image_of_another_program_is_adopted_if_a_person_named_it() {
    for name in [
        "vmcatcher_event_dc_identifier",
        "VMCATCHER_EVENT_DC_IDENTIFIER",
        "appdb_id",
        "APPLIANCE_IDENTIFIER",
        "CLOUDKEEPER_APPLIANCE_ID",
    ] {
        let mut site = Site::new();
        let id = site.model.world().put(PROJECT, &[(name, IDENTIFIER), ("hw_disk_bus", "scsi")]);
        with(&site, id, |image| {
            (image.name, image.visibility) = (Some("Theirs".to_owned()), Visibility::Community);
        });
        site.adopt = Some(id);
        let outcome = site.pass(Some(1)).unwrap();
        assert_eq!((reason(&outcome), outcome.strangers), (Some(Reason::AdoptionRefused), vec![id]), "{name}");
        site.settings.adopt.projects.insert(PROJECT.to_owned());
        site.converge(Some(1));
        let (new, old) = (site.current(), site.only("retired"));
        assert_eq!((new.name.as_deref(), &new.visibility), (Some("Theirs"), &Visibility::Community), "{name}");
        assert_eq!((property(&new, "hw_disk_bus"), old.id), ("scsi", id));
        assert!(new.id != id && old.visibility == Visibility::Private && old.status == ImageStatus::Deactivated);
        assert!(site.plan(Some(1)).unwrap().images[0].is_idle());
    }
}

#[test]
fn an_adoption_is_refused_with_the_reason() {
    let refused = |owner: &str, properties: &[(&str, &str)], expected: &str| {
        let mut site = Site::new();
        let id = site.model.world().put(owner, properties);
        with(&site, id, |image| image.visibility = Visibility::Public);
        (site.adopt, site.settings.adopt.images) = (Some(id), [id].into());
        let outcome = site.pass(Some(1)).unwrap();
        assert!(outcome.notes.concat().contains(expected), "{expected}: {:?}", outcome.notes);
        assert_eq!(reason(&outcome), Some(Reason::AdoptionRefused), "{expected}");
        assert_eq!(outcome.done.len(), 0);
    };
    let named = ("appdb_id", IDENTIFIER);
    refused(PROJECT, &[("appdb_id", "another")], "expected it to say that it is");
    refused(PROJECT, &[], "found no identifier");
    refused(PROJECT, &[named, ("vmcatcher_operator", "other/default")], "it belongs to the operator \"other/default\"");
    refused("tenant", &[named], "expected it in the operator's project project-of-the-operator, found it in tenant");
}

#[test]
fn of_two_images_of_one_version_the_newest_active_one_stays() {
    let site = Site::new();
    site.converge(Some(1));
    let first = site.current();
    let second = {
        let mut world = site.model.world();
        world.advance(60);
        let id = world.fresh();
        let copy = Image { id, created_at: world.now, ..first.clone() };
        world.images.insert(id, copy);
        id
    };
    let outcome = site.pass(Some(1)).unwrap();
    assert_eq!(outcome.verdict, Verdict::Published { id: second });
    assert!(outcome.notes[0].contains("are of the same version"), "{:?}", outcome.notes);
    assert_eq!((site.current().id, site.only("retired").id), (second, first.id));
}

#[test]
fn retired_images_are_deleted_after_their_time_unless_something_needs_them() {
    let mut site = Site::new();
    site.settings.delete_after = Some(SignedDuration::from_hours(24));
    site.converge(Some(1));
    site.converge(Some(2));
    let old = site.only("retired").id;
    let day = |site: &Site| {
        site.model.world().advance(90_000);
        site.restart();
        site.pass(Some(2)).unwrap()
    };
    with(&site, old, |image| image.protected = true);
    let outcome = day(&site);
    assert!(outcome.notes[0].contains("somebody protected it"), "{:?}", outcome.notes);
    with(&site, old, |image| image.protected = false);
    site.change(|image| image.status = ImageStatus::Deactivated);
    day(&site);
    assert_eq!(site.images().len(), 2, "the current one cannot be used");
    site.change(|image| image.status = ImageStatus::Active);
    day(&site);
    assert_eq!(site.images().len(), 1);
    site.converge(None);
    day(&site);
    site.converge(None);
    assert_eq!(site.images().len(), 1, "without a successor it stays");
}
