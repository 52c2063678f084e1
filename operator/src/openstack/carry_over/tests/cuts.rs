//! A change that is cut off anywhere, or whose calls fail, one at a time: the next pass goes on from there.

use std::collections::BTreeMap;

use super::site::{Site, Want};
use super::world::{FAULTS, Fault, World};
use crate::openstack::carry_over::Record;
use crate::openstack::carry_over::properties::property;
use crate::openstack::image::{Image, ImageStatus, MemberStatus, Visibility};

/// The metadata that the site gave to the image in circulation.
#[derive(Debug, Clone)]
struct Start {
    visibility: Visibility,
    member: Option<MemberStatus>,
    protected: bool,
    hidden: bool,
    active: bool,
    administrator: bool,
    converts: bool,
}

fn starts() -> Vec<Start> {
    let shared = |member| (Visibility::Shared, member);
    let kinds = [
        (Visibility::Private, None),
        shared(None),
        shared(Some(MemberStatus::Pending)),
        shared(Some(MemberStatus::Accepted)),
        (Visibility::Community, None),
        (Visibility::Public, None),
    ];
    let mut all = Vec::new();
    for (visibility, member) in kinds {
        // An orthogonal array: all pairs of these choices.
        for bits in [0_u8, 7, 11, 12, 18, 21, 25, 30] {
            let [protected, hidden, active, administrator, converts] = [1, 2, 4, 8, 16].map(|bit| bits & bit != 0);
            let (visibility, member) = (visibility.clone(), member.clone());
            all.push(Start { visibility, member, protected, hidden, active, administrator, converts });
        }
    }
    all
}

/// What happens in the passes under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Register,
    Update,
    Revive,
    Withdraw,
}

impl Action {
    fn wants(self) -> Want {
        match self {
            Self::Register | Self::Revive => Some(1),
            Self::Update => Some(2),
            Self::Withdraw => None,
        }
    }

    fn site(self, start: &Start) -> Site {
        let mut site = Site::new();
        site.converts = start.converts;
        site.model.world().account.is_administrator = start.administrator;
        match self {
            Self::Register => return site,
            Self::Update | Self::Withdraw => drop(site.converge(Some(1))),
            Self::Revive => {
                site.converge(Some(1));
                site.converge(Some(2));
            }
        }
        site.change(|image| {
            image.visibility = start.visibility.clone();
            (image.protected, image.os_hidden) = (start.protected, start.hidden);
            image.status = if start.active { ImageStatus::Active } else { ImageStatus::Deactivated };
            image.tags.insert("gold".to_owned());
            image.properties.insert("hw_disk_bus".to_owned(), "scsi".to_owned());
            image.name = Some("Ubuntu of the site".to_owned());
            image.min_disk = 7;
        });
        let id = site.current().id;
        let member = start.member.iter().map(|status| ("tenant".to_owned(), status.clone())).collect();
        site.model.world().members.insert(id, member);
        site.converge(if self == Self::Revive { Some(2) } else { Some(1) });
        site
    }
}

/// Everything but the settings.
struct Saved {
    images: BTreeMap<uuid::Uuid, Image>,
    members: BTreeMap<uuid::Uuid, BTreeMap<String, MemberStatus>>,
    record: Record,
    uploads: usize,
}

/// Whether a user finds the image as the site wants it.
fn is_found(world: &World, start: &Start) -> bool {
    world.images.values().any(|image| {
        let none = BTreeMap::new();
        let members = world.members.get(&image.id).unwrap_or(&none);
        image.name.as_deref() == Some("Ubuntu of the site")
            && image.visibility == start.visibility
            && image.os_hidden == start.hidden
            && (image.status == ImageStatus::Active) == start.active
            && image.protected == start.protected
            && image.has_data()
            && (start.member.is_none() || members.contains_key("tenant"))
            && image.properties.get("hw_disk_bus").map(String::as_str) == Some("scsi")
            && property(image, "vmcatcher_role") == "current"
    })
}

/// A staged or retired image is never seen by others than its project. One that is shared meanwhile is hidden.
fn is_exposed(world: &World) -> Option<String> {
    let exposed = |image: &&Image| {
        let role = property(image, "vmcatcher_role");
        role != "current" && (!image.os_hidden || !matches!(image.visibility, Visibility::Private | Visibility::Shared))
    };
    world.images.values().find(exposed).map(|image| format!("exposed: {image:?}"))
}

fn watched(site: &Site, action: Action, start: &Start) {
    let start = start.clone();
    let must_be_found = matches!(action, Action::Update | Action::Revive);
    site.model.world().watch = Some(Box::new(move |world| {
        let lost = (must_be_found && !is_found(world, &start)).then(|| "no image is found".to_owned());
        lost.or_else(|| is_exposed(world))
    }));
}

fn save(site: &Site) -> Saved {
    let world = site.model.world();
    let (images, members) = (world.images.clone(), world.members.clone());
    let uploads = world.uploaded.len();
    drop(world);
    Saved { images, members, record: site.record(), uploads }
}

fn restore(site: &Site, saved: &Saved) {
    site.restart();
    let mut world = site.model.world();
    (world.images, world.members) = (saved.images.clone(), saved.members.clone());
    world.uploaded.truncate(saved.uploads);
    (world.writes, world.fault) = (0, None);
    world.calls.clear();
    world.seen.clear();
    drop(world);
    site.kept.0.lock().unwrap().insert(super::site::identifier(), saved.record.clone());
}

/// Runs a change whole, then again once for each of its calls and each way that call can go wrong.
fn cut_everywhere(action: Action, start: &Start) -> usize {
    let site = action.site(start);
    let saved = save(&site);
    restore(&site, &saved);
    watched(&site, action, start);
    site.converge(action.wants());
    let (writes, uploads) = {
        let world = site.model.world();
        assert_eq!(world.seen, [""; 0], "{action:?} {start:?} {:#?}", world.calls);
        (world.writes, world.uploaded.len())
    };
    let [expected, without_status] = [true, false].map(|with_status| site.summary(with_status));
    for at in 0..writes {
        for fault in FAULTS {
            restore(&site, &saved);
            site.model.world().fault = Some((at, fault));
            for _ in 0..4 {
                let _ = site.pass(action.wants());
                let mut world = site.model.world();
                world.finish_uploads();
                world.advance(1);
            }
            site.restart();
            site.converge(action.wants());
            let world = site.model.world();
            let context = format!("{action:?} {start:?}, write {at} {fault:?}: {:#?}", world.calls);
            assert_eq!(world.seen, [""; 0], "{context}");
            let again = usize::from(world.uploaded.len() > uploads);
            assert!(again == 0, "{context}: nothing is uploaded twice");
            drop(world);
            // One refusal of a deactivation counts as that of the policy.
            match fault {
                Fault::Refused => assert_eq!(site.summary(false), without_status, "{context}"),
                _ => assert_eq!(site.summary(true), expected, "{context}"),
            }
        }
    }
    writes
}

#[test]
fn an_update_can_be_cut_anywhere() {
    for start in &starts() {
        assert!(cut_everywhere(Action::Update, start) >= 4);
    }
}

#[test]
fn a_revival_can_be_cut_anywhere() {
    for start in &starts() {
        assert!(cut_everywhere(Action::Revive, start) >= 2);
    }
}

#[test]
fn a_withdrawal_can_be_cut_anywhere() {
    for start in &starts() {
        assert!(cut_everywhere(Action::Withdraw, start) >= 1);
    }
}

#[test]
fn a_first_registration_can_be_cut_anywhere() {
    for start in starts().iter().filter(|start| start.visibility == Visibility::Private) {
        assert_eq!(cut_everywhere(Action::Register, start), 3, "create, the end of the upload, one change");
    }
}
