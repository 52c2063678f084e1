//! Finds the images in a pool that belong to this operator.
//!
//! Attributes alone prove nothing, because any tenant can write the identifier, role and digest on an image of its own.
//! An image belongs to the operator if its id is in the record, or if its attributes claim it and its owner cannot be a
//! tenant: the operator's own user, the retired owner, or user or group `oneadmin`. An image whose attributes claim it
//! is adopted if a user named it and the target's administrator allows it. Images that another operator claims are not
//! changed.

use std::collections::HashMap;

use super::attributes::{self, OPERATOR, Role};
use super::names::{is_expired_name, is_retired_name};
use super::{Cloud, Hidden, Reference, Request, Settings, Snapshot};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::document::{Image, ImageState, Unreadable};

/// A pool, indexed by identifier, id and name.
pub(super) struct Index<'a> {
    by_identifier: HashMap<ImageId, Vec<&'a Image>>,
    by_id: HashMap<u32, &'a Image>,
    by_name: HashMap<&'a str, Vec<&'a Image>>,
    /// The identifier that each image was published for, from the records.
    known: HashMap<u32, &'a ImageId>,
    snapshot: &'a Snapshot,
}

/// An image of this operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mine<'a> {
    pub(super) image: &'a Image,
    pub(super) role: Role,
    pub(super) digest: Option<Sha512Digest>,
    /// Whether the original handler retired it; it did not write a role.
    pub(super) legacy: bool,
    /// Whether no tenant can have written its attributes.
    pub(super) trusted: bool,
}

/// The images of a pool for one identifier.
#[derive(Debug, Default)]
pub(super) struct Recognised<'a> {
    pub(super) ours: Vec<Mine<'a>>,
    /// An image of another operator.
    pub(super) rival: Option<&'a Image>,
    /// Images that claim to be this one, without proof.
    pub(super) strangers: Vec<&'a Image>,
    /// The reason why the image that a user named is not adopted.
    pub(super) refused: Option<String>,
}

impl Mine<'_> {
    pub(super) fn is_named(&self, identifier: &ImageId) -> bool {
        self.image.name == identifier.as_str()
    }

    /// Whether it is in circulation: it has, or recently had, the name.
    pub(super) fn is_live(&self, identifier: &ImageId) -> bool {
        match self.role {
            Role::Current => true,
            Role::Staged | Role::Registering => self.is_named(identifier) && self.image.is_usable(),
            Role::Retired => false,
        }
    }
}

impl<'a> Index<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, requests: &'a [Request]) -> Self {
        let pool = &snapshot.images;
        let mut index = Self {
            snapshot,
            by_identifier: HashMap::new(),
            by_id: pool.iter().map(|image| (image.id, image)).collect(),
            by_name: HashMap::with_capacity(pool.len()),
            known: HashMap::new(),
        };
        for image in pool {
            index.by_name.entry(&image.name).or_default().push(image);
            if let Some(identifier) = attributes::identifier(&image.attributes) {
                index.by_identifier.entry(identifier).or_default().push(image);
            }
        }
        for request in requests {
            let images = request.record.images.iter().filter_map(|entry| index.by_id.get(&entry.id));
            let ids: Vec<u32> =
                images.filter(|image| request.record.of(image).is_some()).map(|image| image.id).collect();
            index.known.extend(ids.into_iter().map(|id| (id, &request.identifier)));
        }
        index
    }

    /// All images with a name.
    pub(super) fn named(&self, name: &str) -> &[&'a Image] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Images that were published by this operator and are hidden from it.
    pub(super) fn hidden(&self) -> &'a [Hidden] {
        &self.snapshot.hidden
    }

    /// An unreadable image that could be this one: it was published as this one, or its attributes claim it.
    pub(super) fn unreadable(&self, request: &Request) -> Option<&'a Unreadable> {
        self.snapshot.unreadable.iter().find(|image| {
            let kept = request.record.images.iter().any(|entry| entry.id == image.id);
            kept || attributes::identifier(&image.attributes).is_some_and(|identifier| identifier == request.identifier)
        })
    }

    /// The images for one identifier, the newest first.
    pub(super) fn recognise(&self, request: &Request, settings: &Settings, cloud: &Cloud) -> Recognised<'a> {
        let claimed = self.by_identifier.get(&request.identifier).map(Vec::as_slice).unwrap_or_default();
        let kept = request.record.images.iter().map(|entry| entry.id).chain(request.adopt);
        let mut images: Vec<&Image> = kept.filter_map(|id| self.by_id.get(&id).copied()).collect();
        images.extend(claimed);
        images.sort_by_key(|image| std::cmp::Reverse(image.id));
        images.dedup_by_key(|image| image.id);
        let mut seen = Recognised::default();
        for image in images.into_iter().filter(|image| image.state != ImageState::Delete) {
            match self.judge(image, request, settings, cloud) {
                Standing::Ours(mine) => seen.ours.push(mine),
                Standing::Rival => seen.rival = seen.rival.or(Some(image)),
                Standing::Stranger => seen.strangers.push(image),
                Standing::Refused(why) => {
                    seen.strangers.push(image);
                    seen.refused =
                        Some(format!("image {} ({} of {}) is not adopted: {why}", image.id, image.name, image.uname));
                }
                Standing::Other => {}
            }
        }
        seen
    }

    fn judge(&self, image: &'a Image, request: &Request, settings: &Settings, cloud: &Cloud) -> Standing<'a> {
        match self.judge_alone(image, request, settings, cloud) {
            Standing::Stranger | Standing::Other if request.adopt == Some(image.id) => {
                self.adopt(image, request, settings)
            }
            standing => standing,
        }
    }

    /// Checks whether an image that a user named can be adopted. Anyone who may annotate a `CachedImage` could name any
    /// image. So its attributes must claim to be this image, no other operator may claim it, and the target's
    /// administrator must have allowed it or its owner. The version and the role in its attributes are not trusted: it
    /// is replaced by verified bytes.
    fn adopt(&self, image: &'a Image, request: &Request, settings: &Settings) -> Standing<'a> {
        let refuse = |why: String| Standing::Refused(why);
        let claim = image.attribute(OPERATOR);
        if let Some(other) = self.known.get(&image.id).filter(|other| ***other != request.identifier) {
            return refuse(format!("it is published as {other}"));
        }
        if !claim.is_empty() && claim != settings.claim.to_string() {
            return refuse(format!("it belongs to the operator {claim:?}"));
        }
        if attributes::identifier(&image.attributes).as_ref() != Some(&request.identifier) {
            return refuse(format!("expected it to say that it is {}, found {}", request.identifier, says(image)));
        }
        if !settings.adopt.has(image) {
            return refuse("openNebula.adopt of the target names neither it nor its owner".to_owned());
        }
        Standing::Ours(Mine { image, role: Role::Current, digest: None, legacy: false, trusted: false })
    }

    fn judge_alone(&self, image: &'a Image, request: &Request, settings: &Settings, cloud: &Cloud) -> Standing<'a> {
        let entry = request.record.of(image);
        let trusted = is_trusted(image, settings, cloud);
        let claim = image.attribute(OPERATOR);
        match self.known.get(&image.id) {
            Some(other) if **other != request.identifier => return Standing::Other,
            Some(_) | None => {}
        }
        let says_so = attributes::identifier(&image.attributes);
        if entry.is_none() && says_so.is_none_or(|identifier| identifier != request.identifier) {
            return Standing::Other; // an id that was kept, of a cloud that was built anew since
        }
        if !claim.is_empty() && claim != settings.claim.to_string() {
            // An image that another operator retired does not conflict.
            let retired = Role::read(image) == Some(Role::Retired);
            return match trusted || entry.is_some() {
                true if retired => Standing::Other,
                true => Standing::Rival,
                false => Standing::Stranger,
            };
        }
        if entry.is_none() && !trusted {
            return Standing::Stranger;
        }
        let proven = is_proven(image, settings, cloud);
        let said = || attributes::digest(image).filter(|_| proven);
        let digest = entry.map(|entry| entry.sha512).or_else(said);
        let (role, legacy) = match Role::read(image) {
            Some(role) => (role, false),
            None if image.name == request.identifier.as_str() => (Role::Current, false),
            None if is_expired_name(&request.identifier, &image.name) => (Role::Retired, true),
            None if is_retired_name(&request.identifier, &image.name) => (Role::Retired, false),
            // The attributes claim to be this image, but neither the role nor the name does. It is somebody's copy and
            // is not changed.
            None if entry.is_none() => return Standing::Other,
            None => (Role::Current, false),
        };
        Standing::Ours(Mine { image, role, digest, legacy, trusted: proven })
    }
}

enum Standing<'a> {
    Ours(Mine<'a>),
    Rival,
    Stranger,
    Refused(String),
    Other,
}

/// The identifier in the attributes of an image, for a message.
fn says(image: &Image) -> String {
    let said = attributes::identifier(&image.attributes);
    said.map_or_else(|| "no identifier".to_owned(), |identifier| identifier.to_string())
}

const ONEADMIN: u32 = 0;

/// Whether no tenant made this image: only the owner's own session, or an administrator, can make an image belong to an
/// owner.
fn is_trusted(image: &Image, settings: &Settings, cloud: &Cloud) -> bool {
    is_owned(image, settings, cloud) || image.gid == ONEADMIN
}

/// Whether no tenant can have changed this image: neither as its owner nor with the right to manage it. Otherwise its
/// digest attribute is used only if the record has none.
fn is_proven(image: &Image, settings: &Settings, cloud: &Cloud) -> bool {
    const GROUP_MANAGES: u16 = 0o020;
    const OTHERS_MANAGE: u16 = 0o002;
    let bits = image.permissions.bits();
    let by_group = bits & GROUP_MANAGES != 0 && image.gid != ONEADMIN;
    is_owned(image, settings, cloud) && !by_group && bits & OTHERS_MANAGE == 0
}

fn is_owned(image: &Image, settings: &Settings, cloud: &Cloud) -> bool {
    let retired: &Reference = &settings.retired.owner;
    image.uid == cloud.user.id || image.uid == ONEADMIN || retired.is(image.uid, &image.uname)
}
