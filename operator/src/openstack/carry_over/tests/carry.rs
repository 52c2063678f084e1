//! What is carried over, and how many calls it takes.

use std::collections::BTreeMap;

use super::site::{Site, digest};
use super::world::PROJECT;
use crate::cloud::Wanted;
use crate::openstack::carry_over::Verdict;
use crate::openstack::carry_over::properties::property;
use crate::openstack::image::{Image, ImageStatus, MemberStatus, Visibility};
use crate::openstack::settings::NameFrom;

#[test]
fn a_first_image_is_as_the_settings_say() {
    let mut site = Site::new();
    site.settings.vo_projects.insert("ops".to_owned(), ["project-of-ops".to_owned(), PROJECT.to_owned()].into());
    site.settings.shared_with.insert("another".to_owned());
    site.settings.properties.insert("hw_disk_bus".to_owned(), "virtio".to_owned());
    let outcome = site.converge(Some(1));
    let image = site.current();
    assert_eq!(outcome.verdict, Verdict::Published { id: image.id });
    assert_eq!((image.name.as_deref(), &image.visibility), (Some("EGI Ubuntu"), &Visibility::Shared));
    assert!(!image.os_hidden && !image.protected && image.disk_format.as_deref() == Some("qcow2"));
    let members: Vec<String> = site.members_of(&image).into_keys().collect();
    assert_eq!(members, ["another", "project-of-ops"], "an image is not shared with its own project");
    let properties: Vec<String> = image.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = format!(
        "architecture=x86_64 hw_disk_bus=virtio os_distro=ubuntu os_version=22.04 \
         vmcatcher_event_ad_mpuri=https://apps.example.org/1 \
         vmcatcher_event_dc_identifier=858a817e-0ca2-473f-89d3-d5bdfc51968e vmcatcher_event_dc_title=EGI Ubuntu \
         vmcatcher_event_hv_version=4.1 vmcatcher_event_sl_arch=x86_64 vmcatcher_event_sl_checksum_sha512={} \
         vmcatcher_event_sl_os=Ubuntu vmcatcher_event_sl_osversion=22.04 vmcatcher_event_type=AvailablePostfix \
         vmcatcher_event_vo=ops vmcatcher_operator=site/default vmcatcher_role=current",
        digest(1)
    );
    assert_eq!(properties.join(" "), expected);
}

#[test]
fn the_name_can_be_the_identifier_and_an_empty_vo_shares_nothing() {
    let mut site = Site::new();
    (site.settings.name, site.settings.visibility) = (NameFrom::Identifier, Visibility::Community);
    site.settings.vo_projects.insert("ops".to_owned(), std::collections::BTreeSet::new());
    site.settings.shared_with.insert("another".to_owned());
    site.converge(Some(1));
    let image = site.current();
    assert_eq!((image.name.as_deref(), &image.visibility), (Some(super::site::IDENTIFIER), &Visibility::Community));
    assert_eq!(site.members_of(&image), BTreeMap::new());
}

fn calls(site: &Site) -> Vec<String> {
    let calls = std::mem::take(&mut site.model.world().calls);
    calls.iter().map(|call| call.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_new_image_takes_three_calls_and_an_unchanged_one_only_the_listing() {
    let site = Site::new();
    site.pass(Some(1)).unwrap();
    assert_eq!(calls(&site), ["list", "list", "create"], "hidden images are listed at first");
    let outcome = site.pass(Some(1)).unwrap();
    assert!(outcome.copying && outcome.verdict.to_string().contains(": 0 % sent, again at "), "{}", outcome.verdict);
    assert_eq!(calls(&site), ["list", "show"]);
    site.model.world().finish_uploads();
    site.pass(Some(1)).unwrap();
    assert_eq!(calls(&site), ["end", "list", "show", "change"]);
    for _ in 0..3 {
        assert!(site.plan(Some(1)).unwrap().images[0].is_idle());
        site.pass(Some(1)).unwrap();
        assert_eq!(calls(&site), ["list", "list"]);
    }
    site.converge(Some(2));
    calls(&site);
    site.pass(Some(2)).unwrap();
    assert_eq!(calls(&site), ["list"], "a retired image is not read");
}

/// A person's changes of the image in circulation are the site's decision: they are remembered without a call.
#[test]
fn the_sites_decisions_stay_and_are_carried_over() {
    let site = Site::new();
    site.converge(Some(1));
    site.change(|image| {
        image.name = Some("Ours".to_owned());
        image.tags.insert("gold".to_owned());
        image.properties.insert("hw_rng_model".to_owned(), "virtio".to_owned());
        image.properties.insert("os_distro".to_owned(), "kubuntu".to_owned());
        (image.min_ram, image.protected) = (2048, true);
    });
    let before = site.current();
    let outcome = site.pass(Some(1)).unwrap();
    let repaired = site.current();
    assert_eq!(outcome.done.len(), 1, "{:?}", outcome.done);
    assert_eq!(property(&repaired, "os_distro"), "ubuntu", "what the list says is repaired");
    assert_eq!(repaired.properties.len(), before.properties.len());
    assert_eq!(site.record().metadata.unwrap().name.as_deref(), Some("Ours"));
    let id = repaired.id;
    site.converge(Some(2));
    let (new, old) = (site.current(), site.only("retired"));
    assert_eq!((new.name.as_deref(), new.min_ram, new.protected), (Some("Ours"), 2048, true));
    assert!(new.tags.contains("gold") && property(&new, "hw_rng_model") == "virtio");
    assert_eq!((old.id, old.protected, old.status), (id, false, ImageStatus::Deactivated));
    assert!(old.name.unwrap().starts_with("Ours_2026-11-22_") && old.tags.contains("vmcatcher-retired"));
}

#[test]
fn what_is_of_other_programs_and_of_the_old_bytes_is_not_carried_over() {
    let site = Site::new();
    site.converge(Some(1));
    site.change(|image| {
        for name in ["img_signature", "owner_specified.openstack.sha256", "CLOUDKEEPER_ID", "appdb_id", "sha512"] {
            image.properties.insert(name.to_owned(), "x".to_owned());
        }
        image.tags.insert("atrope".to_owned());
    });
    site.converge(Some(2));
    let new = site.current();
    assert_eq!(new.tags.iter().collect::<Vec<_>>(), ["vmcatcher"]);
    let names: Vec<&String> = new.properties.keys().filter(|name| !name.starts_with("vmcatcher_")).collect();
    assert_eq!(names, ["architecture", "os_distro", "os_version"]);
}

#[test]
fn accepted_members_are_accepted_by_an_administrator_and_named_otherwise() {
    for administrator in [true, false] {
        let site = Site::new();
        site.model.world().account.is_administrator = administrator;
        site.converge(Some(1));
        site.change(|image| image.visibility = Visibility::Shared);
        let id = site.current().id;
        let members = [("a", MemberStatus::Accepted), ("b", MemberStatus::Pending), ("c", MemberStatus::Rejected)];
        let members = members.map(|(project, status)| (project.to_owned(), status)).into();
        site.model.world().members.insert(id, members);
        let mut notes = Vec::new();
        for _ in 0..6 {
            notes.extend(site.pass(Some(2)).unwrap().notes);
            site.model.world().finish_uploads();
        }
        let new = site.current();
        let expected = if administrator { MemberStatus::Accepted } else { MemberStatus::Pending };
        let pending = || MemberStatus::Pending;
        let members = [("a", expected), ("b", pending()), ("c", pending())];
        let members: BTreeMap<String, MemberStatus> =
            members.into_iter().map(|(project, status)| (project.to_owned(), status)).collect();
        assert_eq!(site.members_of(&new), members);
        assert_eq!(site.members_of(&site.only("retired")), BTreeMap::new());
        assert_eq!(notes.len(), usize::from(!administrator), "{notes:?}");
        assert!(notes.iter().all(|note| note.contains("the project a had accepted")), "{notes:?}");
    }
}

/// A retired image whose members could not be removed is shared with no other project when it comes back.
#[test]
fn dormant_members_do_not_come_back() {
    let site = Site::new();
    site.converge(Some(1));
    site.change(|image| image.visibility = Visibility::Shared);
    site.converge(Some(2));
    let old = site.only("retired");
    site.model.world().members.insert(old.id, [("dormant".to_owned(), MemberStatus::Accepted)].into());
    site.converge(Some(1));
    assert_eq!((site.current().id, site.members_of(&site.current())), (old.id, BTreeMap::new()));
}

#[test]
fn a_pin_back_revives_without_an_upload() {
    let site = Site::new();
    site.converge(Some(1));
    site.change(|image| drop(image.properties.insert("a".to_owned(), "1".to_owned())));
    let first = site.current().id;
    site.converge(Some(2));
    site.change(|image| drop(image.properties.remove("a")));
    site.converge(Some(2));
    let uploads = site.model.world().uploaded.len();
    site.converge(Some(1));
    let image = site.current();
    assert_eq!((image.id, &image.status), (first, &ImageStatus::Active));
    assert!(!image.properties.contains_key("a") && !image.properties.contains_key("vmcatcher_remembered"));
    assert!(!image.tags.contains("vmcatcher-retired"));
    assert_eq!(site.model.world().uploaded.len(), uploads);
    // The same without the record: the digest that Glance computed is the proof.
    site.kept.0.lock().unwrap().clear();
    site.restart();
    site.converge(Some(2));
    assert_eq!(site.model.world().uploaded.len(), uploads);
    assert_eq!(property(&site.current(), "vmcatcher_event_hv_version"), "4.2");
}

fn renamed(site: &Site, version: u8) -> Wanted {
    let mut wanted = super::site::wanted(site, version);
    wanted.event.title = Some("Another title".to_owned());
    wanted.event.mpuri = None;
    wanted.event.os = Some("?".to_owned());
    wanted
}

#[test]
fn a_change_of_the_list_takes_one_call() {
    let mut site = Site::new();
    site.converge(Some(1));
    site.wanted = renamed;
    site.model.world().calls.clear();
    let outcome = site.pass(Some(1)).unwrap();
    assert_eq!(outcome.done.len(), 1, "{:?}", outcome.done);
    let image = site.current();
    assert_eq!(property(&image, "vmcatcher_event_dc_title"), "Another title");
    let left = ["vmcatcher_event_ad_mpuri", "os_distro", "os_version"].map(|name| image.properties.contains_key(name));
    assert_eq!(left, [false; 3]);
    assert_eq!(image.name.as_deref(), Some("EGI Ubuntu"), "the name is the site's");
    assert_eq!(site.model.world().uploaded.len(), 1);
}

/// All pairs of versions after the first one keep what the site decided, whoever retired the image in between.
#[test]
fn what_was_withdrawn_comes_back_as_it_was() {
    for keeps_record in [true, false] {
        let site = Site::new();
        site.converge(Some(1));
        let decide = |image: &mut Image| {
            (image.visibility, image.status) = (Visibility::Community, ImageStatus::Deactivated);
            image.name = Some("Ours".to_owned());
        };
        site.change(decide);
        let outcome = site.converge(None);
        assert_eq!((outcome.verdict, outcome.retired), (Verdict::Retired, 1));
        if !keeps_record {
            site.kept.0.lock().unwrap().clear();
            site.restart();
        }
        site.converge(Some(2));
        let image = site.current();
        assert_eq!((&image.visibility, &image.status), (&Visibility::Community, &ImageStatus::Deactivated));
        assert_eq!(image.name.as_deref(), Some("Ours"), "record {keeps_record}");
    }
}
