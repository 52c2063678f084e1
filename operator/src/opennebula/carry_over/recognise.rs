//! Which images of a pool are ours.
//!
//! Attributes alone prove nothing: any tenant can write our identifier, role and digest on an image of its own. An
//! image is ours when we kept its id, or when it says so and belongs to somebody who could not be a tenant: the
//! operator's own user, the retired owner, user or group `oneadmin`. One that says so, that a person named, and that the
//! target's administrator lets be adopted, becomes ours. Whatever another operator claims is left alone.

use std::collections::HashMap;

use super::attributes::{self, OPERATOR, Role};
use super::names::{is_expired_name, is_retired_name};
use super::{Cloud, Hidden, Reference, Request, Settings, Snapshot};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::document::{Image, ImageState, Unreadable};

/// A pool, found by what is asked of it.
pub(super) struct Index<'a> {
    by_identifier: HashMap<ImageId, Vec<&'a Image>>,
    by_id: HashMap<u32, &'a Image>,
    by_name: HashMap<&'a str, Vec<&'a Image>>,
    /// Which identifier an image was published for, by the records.
    known: HashMap<u32, &'a ImageId>,
    snapshot: &'a Snapshot,
}

/// An image of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mine<'a> {
    pub(super) image: &'a Image,
    pub(super) role: Role,
    pub(super) digest: Option<Sha512Digest>,
    /// Retired by the original handler, which left no role on it.
    pub(super) legacy: bool,
    /// No tenant could have written its attributes.
    pub(super) trusted: bool,
}

/// What a pool has for one identifier.
#[derive(Debug, Default)]
pub(super) struct Recognised<'a> {
    pub(super) ours: Vec<Mine<'a>>,
    /// An image of another operator.
    pub(super) rival: Option<&'a Image>,
    /// Images that say they are this one, without proof.
    pub(super) strangers: Vec<&'a Image>,
    /// Why the image that a person named is not adopted.
    pub(super) refused: Option<String>,
}

impl Mine<'_> {
    pub(super) fn is_named(&self, identifier: &ImageId) -> bool {
        self.image.name == identifier.as_str()
    }

    /// In circulation, or as good as: it has, or lately had, the name.
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

    /// All images of a name.
    pub(super) fn named(&self, name: &str) -> &[&'a Image] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Images that were published from here and are hidden from us.
    pub(super) fn hidden(&self) -> &'a [Hidden] {
        &self.snapshot.hidden
    }

    /// An image that cannot be read and that could be this one: it was published as it, or says so.
    pub(super) fn unreadable(&self, request: &Request) -> Option<&'a Unreadable> {
        self.snapshot.unreadable.iter().find(|image| {
            let kept = request.record.images.iter().any(|entry| entry.id == image.id);
            kept || attributes::identifier(&image.attributes).is_some_and(|identifier| identifier == request.identifier)
        })
    }

    /// What is there for one identifier, newest first.
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

    /// An image that a person named. Whoever may annotate a `CachedImage` could name any; so it must say that it is this
    /// image, nobody else may claim it, and the target's administrator must have named it or its owner. What its owner
    /// wrote of version and role is not believed: it is replaced by verified bytes.
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
            // What another operator took out of circulation is in nobody's way.
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
            // It says it is this image, but neither its role nor its name does: somebody's copy. Left alone.
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

/// Which identifier an image says it has, for a message.
fn says(image: &Image) -> String {
    let said = attributes::identifier(&image.attributes);
    said.map_or_else(|| "no identifier".to_owned(), |identifier| identifier.to_string())
}

const ONEADMIN: u32 = 0;

/// Whether no tenant made this image: only its owner's own session, or an administrator, makes an image somebody's.
fn is_trusted(image: &Image, settings: &Settings, cloud: &Cloud) -> bool {
    is_owned(image, settings, cloud) || image.gid == ONEADMIN
}

/// Whether no tenant can have written on this image: neither as its owner nor by a right to manage it. Else what it says
/// of its version counts only where we know better.
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
