//! The desired state of images at targets, and their current state there. The passes of images and targets exchange
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::session::Session;
use crate::api::{ObjectKey, Progress};
use crate::cache::{ConversionKey, VerifiedBlob};
use crate::cloud::CloudImageId;
use crate::imagelist::{ImageId, ListedImage, Sha512Digest};

/// The desired state of an image at its targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The desired state at each target, by the target's name.
    pub at: BTreeMap<String, DesiredState>,
    /// An existing image in a cloud that a user assigned to this object: the target's name, and the id there.
    pub adopt: Option<(String, CloudImageId)>,
    /// A user requested a try now.
    pub asked: bool,
    /// It is withdrawn because its signer was revoked. It cannot be vetoed.
    pub revoked: bool,
    /// Its object is being deleted, and keeps its finalizer until no version of it is in circulation.
    pub held: bool,
}

impl Desired {
    /// The desired state of an image that names no target, and is at none.
    pub(in crate::reconcile) fn nowhere(identifier: ImageId) -> Self {
        Self { identifier, at: BTreeMap::new(), adopt: None, asked: false, revoked: false, held: false }
    }

    /// The same, where no version is published that is not: a handler keeps the new one out of the cache.
    #[must_use]
    pub(in crate::reconcile) fn without_new_versions(mut self) -> Self {
        for state in self.at.values_mut().filter(|state| matches!(state, DesiredState::Publish(_))) {
            *state = DesiredState::Leave;
        }
        self
    }
}

/// The desired state of an image at one target.
#[derive(Debug, Clone, PartialEq)]
pub enum DesiredState {
    /// This version is in circulation.
    Publish(Arc<Offer>),
    /// No version is in circulation.
    Withdraw,
    /// The current state stays.
    Leave,
    /// The current state stays, and a target that is being deleted need not wait for the image.
    Release,
}

/// A wanted version, with its bytes if they are available.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The image's entry in the list.
    pub image: ListedImage,
    /// The digest of its bytes.
    pub sha512: Sha512Digest,
    /// `dc:identifier` of the list.
    pub list: ImageId,
    /// `ad:vo` of the list.
    pub vo: Option<String>,
    /// Its verified bytes; `None` until they are downloaded.
    pub blob: Option<VerifiedBlob>,
}

/// The state of an image at one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationStatus {
    /// The version in circulation there; `None` if there is none, or if the last pass could not determine it.
    pub published: Option<Published>,
    /// The name of the image there.
    pub image_name: String,
    /// Whether the cloud was asked and answered.
    pub asked: bool,
    /// No version is in circulation, as requested.
    pub withdrawn: bool,
    /// The reason of the `Published` condition.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// The number of its images there that are out of circulation.
    pub retired: u32,
    /// Why its other images are not completely out of circulation: the reason, and what is missing.
    pub unfinished: Option<(&'static str, String)>,
    /// The progress of the conversion that it waits for.
    pub progress: Option<Progress>,
}

/// A version in circulation at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The id of the image there.
    pub id: CloudImageId,
    /// The digest of its content.
    pub sha512: Sha512Digest,
    /// Its `hv:version`.
    pub version: String,
}

/// The state that passes of images and targets share, in memory. Every pass sets it again.
#[derive(Debug, Default)]
pub struct Publications(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    desired: BTreeMap<ObjectKey, Desired>,
    /// By target: the images for which a user requested a try now, until a pass of the target has handled it. The
    /// image's own next pass may come first.
    asked: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// By target, then by image.
    statuses: BTreeMap<ObjectKey, BTreeMap<ObjectKey, PublicationStatus>>,
    sessions: BTreeMap<ObjectKey, Arc<tokio::sync::Mutex<Session>>>,
    /// By target: the conversions that it wants.
    conversions: BTreeMap<ObjectKey, BTreeSet<ConversionKey>>,
    /// By target: when a running import is checked again.
    importing: BTreeMap<ObjectKey, Timestamp>,
}

impl Publications {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the desired state of an image; `None` if the object is gone.
    pub fn want(&self, image: &ObjectKey, desired: Option<Desired>) {
        let mut held = self.held();
        for (name, desire) in desired.iter().filter(|desired| desired.asked).flat_map(|desired| &desired.at) {
            if matches!(desire, DesiredState::Publish(_) | DesiredState::Withdraw) {
                held.asked.entry(image.sibling(name)).or_default().insert(image.clone());
            }
        }
        match desired {
            Some(desired) => held.desired.insert(image.clone(), desired),
            None => held.desired.remove(image),
        };
    }

    /// The desired state of an image; `None` if it has had no pass yet.
    pub fn desired(&self, image: &ObjectKey) -> Option<Desired> {
        self.held().desired.get(image).cloned()
    }

    /// The state of images at a target.
    pub fn statuses(&self, target: &ObjectKey) -> BTreeMap<ObjectKey, PublicationStatus> {
        self.held().statuses.get(target).cloned().unwrap_or_default()
    }

    /// Whether any image of its namespace has a desired state at a target.
    pub fn is_wanted(&self, target: &ObjectKey) -> bool {
        let names = |(key, desired): (&ObjectKey, &Desired)| is_of(key, desired, target);
        self.held().desired.iter().any(names)
    }

    /// The desired states of the images of its namespace that name a target.
    pub fn wanted_of(&self, target: &ObjectKey) -> Vec<(ObjectKey, Desired)> {
        let held = self.held();
        let of = held.desired.iter().filter(|(key, desired)| is_of(key, desired, target));
        of.map(|(key, desired)| (key.clone(), desired.clone())).collect()
    }

    /// Takes the images for which a user requested a try at that target.
    pub(in crate::reconcile) fn take_asked(&self, target: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.held().asked.remove(target).unwrap_or_default()
    }

    /// The state of an image at a target; `None` if no pass of the target has set it.
    pub fn status(&self, target: &ObjectKey, image: &ObjectKey) -> Option<PublicationStatus> {
        self.held().statuses.get(target)?.get(image).cloned()
    }

    /// Sets the state of images at a target, and when a running import there is checked again.
    pub(in crate::reconcile) fn tell(
        &self,
        target: &ObjectKey,
        statuses: BTreeMap<ObjectKey, PublicationStatus>,
        again: Option<Timestamp>,
    ) {
        let mut held = self.held();
        held.statuses.insert(target.clone(), statuses);
        match again {
            Some(at) => held.importing.insert(target.clone(), at),
            None => held.importing.remove(target),
        };
    }

    /// Sets the conversions that a target wants. Returns those that it wanted before and that no target wants now.
    pub(in crate::reconcile) fn want_conversions(
        &self,
        target: &ObjectKey,
        keys: BTreeSet<ConversionKey>,
    ) -> BTreeSet<ConversionKey> {
        let mut held = self.held();
        let before = if keys.is_empty() {
            held.conversions.remove(target)
        } else {
            held.conversions.insert(target.clone(), keys)
        };
        let mut unwanted = before.unwrap_or_default();
        unwanted.retain(|key| !held.conversions.values().any(|wanted| wanted.contains(key)));
        unwanted
    }

    /// The conversions that targets want.
    pub fn conversions(&self) -> BTreeMap<ObjectKey, BTreeSet<ConversionKey>> {
        self.held().conversions.clone()
    }

    /// Removes images and targets that no longer exist.
    pub fn retain(&self, has_image: impl Fn(&ObjectKey) -> bool, has_target: impl Fn(&ObjectKey) -> bool) {
        let gone: Vec<ObjectKey> = {
            let mut held = self.held();
            held.desired.retain(|key, _| has_image(key));
            held.statuses.keys().filter(|key| !has_target(key)).cloned().collect()
        };
        for target in &gone {
            self.forget(target);
        }
    }

    /// Removes a target that no longer exists.
    pub(in crate::reconcile) fn forget(&self, target: &ObjectKey) {
        let mut held = self.held();
        held.statuses.remove(target);
        held.sessions.remove(target);
        held.importing.remove(target);
        held.asked.remove(target);
    }

    /// The session with a target's cloud.
    pub(in crate::reconcile) fn session(&self, target: &ObjectKey) -> Arc<tokio::sync::Mutex<Session>> {
        self.held().sessions.entry(target.clone()).or_default().clone()
    }

    /// The targets where imports run.
    pub fn importing(&self) -> Vec<ObjectKey> {
        self.held().importing.keys().cloned().collect()
    }

    /// When the next running import is checked.
    pub fn importing_until(&self) -> Option<Timestamp> {
        self.held().importing.values().min().copied()
    }
}

/// Whether an image has a desired state at a target.
fn is_of(image: &ObjectKey, desired: &Desired, target: &ObjectKey) -> bool {
    image.namespace == target.namespace && desired.at.contains_key(&target.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_asks_is_taken_up_once_by_each_target() {
        let publications = Publications::default();
        let image = ObjectKey::new("n", "858a817e-0ca2-473f-89d3-d5bdfc51968e");
        let (one, two, other) = (image.sibling("one"), image.sibling("two"), image.sibling("other"));
        let desired = |asked| Desired {
            identifier: image.name.parse().unwrap(),
            at: [("one", DesiredState::Withdraw), ("two", DesiredState::Withdraw), ("other", DesiredState::Leave)]
                .map(|(name, desire)| (name.to_owned(), desire))
                .into(),
            adopt: None,
            asked,
            held: false,
            revoked: false,
        };
        publications.want(&image, Some(desired(true)));
        // The image's next pass comes before the targets'.
        publications.want(&image, Some(desired(false)));
        let taken = |target| publications.take_asked(target).into_iter().collect::<Vec<_>>();
        assert_eq!((taken(&one), taken(&other)), (vec![image.clone()], Vec::new()));
        assert_eq!((taken(&one), taken(&two)), (Vec::new(), vec![image.clone()]));
    }
}
