//! Recognises the images that are this operator's, those that only claim to be, and those of other operators. Pure.
//!
//! Anyone in a cloud can give an image any name, properties and tags. So an image is this operator's only if it belongs to
//! the session's project, and it is in the record, or has the operator's identifier, claim and tag. An image of another
//! project is a stranger, whatever it says. An image of the project that another program published is used only if a
//! user named it and the target's administrator allows it. Images that another operator claims are not changed.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::properties::{self, OPERATOR, Role, TAG, property};
use super::{Request, Snapshot};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::openstack::image::{Image, ImageStatus, Unreadable};
use crate::openstack::settings::Settings;
use crate::text::printable;

/// The images of a snapshot, indexed by id and identifier.
pub(super) struct Index<'a> {
    by_identifier: HashMap<ImageId, Vec<&'a Image>>,
    by_id: BTreeMap<Uuid, &'a Image>,
    /// The identifier that each image was published for, from the records.
    known: HashMap<Uuid, &'a ImageId>,
    pub(super) snapshot: &'a Snapshot,
}

/// An image of this operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mine<'a> {
    pub(super) image: &'a Image,
    pub(super) role: Role,
    /// The digest of its version in the list.
    pub(super) digest: Option<Sha512Digest>,
    /// Whether its retirement was complete before.
    pub(super) was_retired: bool,
}

/// The images of a snapshot for one identifier, the newest first.
#[derive(Debug, Default)]
pub(super) struct Recognised<'a> {
    pub(super) ours: Vec<Mine<'a>>,
    /// An image of another operator.
    pub(super) rival: Option<&'a Image>,
    /// Images that claim to be this one, without proof.
    pub(super) strangers: Vec<&'a Image>,
    /// The reason why the image that a user named is not adopted.
    pub(super) refused: Option<String>,
    /// Messages about images that were published from here and belong to another project now.
    pub(super) notes: Vec<String>,
}

impl Mine<'_> {
    /// Whether it has data. A person may have deactivated it.
    pub(super) fn is_usable(&self) -> bool {
        self.image.has_data()
    }

    /// Whether an import of it has not ended, although its data may be there. At its end Glance writes the image as it was,
    /// which undoes what was changed meanwhile.
    pub(super) fn is_being_imported(&self) -> bool {
        self.image.properties.contains_key("os_glance_import_task")
    }

    /// Whether only the project can see it, and only by its id or if it asks for hidden images.
    pub(super) fn is_closed(&self) -> bool {
        self.image.os_hidden && self.image.visibility == crate::openstack::image::Visibility::Private
    }
}

impl Image {
    /// Whether it has data that can be believed: only then is its digest that of its data.
    pub(super) fn has_data(&self) -> bool {
        let complete = matches!(self.status, ImageStatus::Active | ImageStatus::Deactivated);
        complete && self.size.is_some_and(|size| size > 0)
    }

    /// Whether its data has one of these digests, as Glance computed it.
    pub(super) fn has_digest(&self, mut digests: impl Iterator<Item = Sha512Digest>) -> bool {
        let found = || self.os_hash_value.as_deref().and_then(|text| text.parse::<Sha512Digest>().ok());
        let sha512 = self.os_hash_algo.as_deref() == Some("sha512");
        sha512 && self.has_data() && found().is_some_and(|found| digests.any(|digest| digest == found))
    }

    /// Whether it still exists.
    fn exists(&self) -> bool {
        !matches!(self.status, ImageStatus::PendingDelete | ImageStatus::Deleted)
    }
}

impl<'a> Index<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, requests: &'a [Request]) -> Self {
        let mut by_identifier: HashMap<ImageId, Vec<&Image>> = HashMap::new();
        for image in &snapshot.images {
            if let Some(identifier) = properties::identifier(image) {
                by_identifier.entry(identifier).or_default().push(image);
            }
        }
        let mut known = HashMap::new();
        for request in requests {
            let registered = request.record.registration.iter().filter_map(|registration| registration.id);
            let ids = request.record.images.iter().map(|entry| entry.id).chain(registered);
            known.extend(ids.map(|id| (id, &request.identifier)));
        }
        let by_id = snapshot.images.iter().map(|image| (image.id, image)).collect();
        Self { by_identifier, by_id, known, snapshot }
    }

    /// An unreadable image that was published as this one.
    pub(super) fn unreadable(&self, request: &Request) -> Option<&'a Unreadable> {
        self.snapshot.unreadable.iter().find(|image| image.id.is_some_and(|id| request.record.knows(id)))
    }

    /// The images for one identifier, the newest first.
    pub(super) fn recognise(&self, request: &Request, settings: &Settings) -> Recognised<'a> {
        let claimed = self.by_identifier.get(&request.identifier).map(Vec::as_slice).unwrap_or_default();
        let registered = request.record.registration.iter().filter_map(|registration| registration.id);
        let kept = request.record.images.iter().map(|entry| entry.id).chain(registered).chain(request.adopt);
        let mut images: Vec<&Image> = kept.filter_map(|id| self.by_id.get(&id).copied()).collect();
        images.extend(claimed);
        images.sort_by_key(|image| std::cmp::Reverse((image.created_at, image.id)));
        images.dedup_by_key(|image| image.id);
        let mut seen = Recognised::default();
        for image in images.into_iter().filter(|image| image.exists()) {
            match self.judge(image, request, settings) {
                Standing::Ours(mine) => seen.ours.push(mine),
                Standing::Rival => seen.rival = seen.rival.or(Some(image)),
                Standing::Stranger => {
                    seen.notes.extend(self.given_away(image, request));
                    seen.strangers.push(image);
                }
                Standing::Refused(why) => {
                    seen.strangers.push(image);
                    seen.refused = Some(format!("image {} is not adopted: {why}", shown(image)));
                }
                Standing::Other => {}
            }
        }
        seen
    }

    fn is_own(&self, image: &Image) -> bool {
        image.owner == self.snapshot.account.project
    }

    fn given_away(&self, image: &Image, request: &Request) -> Option<String> {
        let given = request.record.knows(image.id) && !self.is_own(image);
        given.then(|| {
            let owner = printable(&image.owner).into_owned();
            format!("image {}, which was published from here, belongs to the project {owner} now", shown(image))
        })
    }

    fn judge(&self, image: &'a Image, request: &Request, settings: &Settings) -> Standing<'a> {
        match self.judge_alone(image, request, settings) {
            Standing::Stranger | Standing::Other if request.adopt == Some(image.id) => {
                self.adopt(image, request, settings)
            }
            standing => standing,
        }
    }

    /// Checks whether an image that a user named can be adopted. Anyone who may annotate a `CachedImage` could name any
    /// image. So its properties must claim to be this image, no other operator may claim it, the target's administrator
    /// must have allowed it or its project, and it must be in the session's project, or else it could not be changed. The
    /// version and the role in its properties are not trusted: it is replaced by verified bytes.
    fn adopt(&self, image: &'a Image, request: &Request, settings: &Settings) -> Standing<'a> {
        let refuse = |why: String| Standing::Refused(why);
        let claim = property(image, OPERATOR);
        if let Some(other) = self.known.get(&image.id).filter(|other| ***other != request.identifier) {
            return refuse(format!("it is published as {other}"));
        }
        if !claim.is_empty() && claim != settings.claim.to_string() {
            return refuse(format!("it belongs to the operator {claim:?}"));
        }
        let said = properties::identifiers(image);
        if !said.iter().any(|said| *said == request.identifier.as_str()) {
            let found = said.first().map_or_else(|| "no identifier".to_owned(), |said| format!("{said:?}"));
            return refuse(format!("expected it to say that it is {}, found {found}", request.identifier));
        }
        if !settings.adopt.has(image) {
            return refuse("openStack.adopt of the target names neither it nor its project".to_owned());
        }
        if !self.is_own(image) {
            let (own, other) = (&self.snapshot.account.project, printable(&image.owner));
            return refuse(format!("expected it in the operator's project {own}, found it in {other}"));
        }
        Standing::Ours(Mine { image, role: Role::Current, digest: None, was_retired: false })
    }

    fn judge_alone(&self, image: &'a Image, request: &Request, settings: &Settings) -> Standing<'a> {
        let recorded = request.record.knows(image.id);
        if self.known.get(&image.id).is_some_and(|other| **other != request.identifier) {
            return Standing::Other;
        }
        if !recorded && properties::identifier(image).as_ref() != Some(&request.identifier) {
            return Standing::Other; // an image that a user named for adoption
        }
        if !self.is_own(image) {
            return Standing::Stranger;
        }
        let claim = property(image, OPERATOR);
        if !claim.is_empty() && claim != settings.claim.to_string() {
            // An image that another operator retired does not conflict.
            let retired = Role::read(image) == Some(Role::Retired);
            return if retired { Standing::Other } else { Standing::Rival };
        }
        if !recorded && (claim.is_empty() || !image.tags.contains(TAG)) {
            return Standing::Stranger;
        }
        let entry = request.record.of(image.id);
        let registration = request.record.registration.as_ref().filter(|entry| entry.id == Some(image.id));
        let was_retired = entry.is_some_and(|entry| entry.retired);
        let role = Role::read(image).unwrap_or(match registration {
            _ if was_retired => Role::Retired,
            Some(_) => Role::Staged,
            None => Role::Current,
        });
        let kept = entry.map(|entry| entry.sha512).or_else(|| registration.map(|entry| entry.sha512));
        Standing::Ours(Mine { image, role, digest: kept.or_else(|| said_digest(image, role)), was_retired })
    }
}

/// The digest in the properties of an image. Once it has data, its data must agree. The data of a staged image is checked
/// before it is used.
fn said_digest(image: &Image, role: Role) -> Option<Sha512Digest> {
    let said = properties::digest(image)?;
    let sent = properties::sent_digest(image).unwrap_or(said);
    (role == Role::Staged || image.has_digest([said, sent].into_iter())).then_some(said)
}

/// The id and the name of an image, for a message.
pub(super) fn shown(image: &Image) -> String {
    match &image.name {
        Some(name) => format!("{} ({})", image.id, printable(name)),
        None => image.id.to_string(),
    }
}

enum Standing<'a> {
    Ours(Mine<'a>),
    Rival,
    Stranger,
    Refused(String),
    Other,
}
