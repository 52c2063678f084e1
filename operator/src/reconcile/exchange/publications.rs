//! What images want of targets, and how they stand there: what the passes of images and of targets tell each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::session::Session;
use crate::api::{ObjectKey, Progress};
use crate::cache::{ConversionKey, VerifiedBlob};
use crate::imagelist::{ImageId, ListedImage, Sha512Digest};

/// What an image wants of its targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Which image.
    pub identifier: ImageId,
    /// What it wants of each target, by the target's name.
    pub at: BTreeMap<String, DesiredState>,
    /// An image of a cloud that a person named as this one: the target's name, and the id there.
    pub adopt: Option<(String, u32)>,
    /// A person asked for a try now.
    pub asked: bool,
    /// Its object is being deleted, and held until nothing of it is in circulation.
    pub held: bool,
}

/// What an image wants of one target.
#[derive(Debug, Clone, PartialEq)]
pub enum DesiredState {
    /// This version in circulation.
    Publish(Arc<Offer>),
    /// Nothing of it in circulation.
    Withdraw,
    /// Whatever is there stays.
    Leave,
    /// Whatever is there stays, and the target, which is being deleted, may go.
    Release,
}

/// A version that is wanted, with its bytes where they are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// What the list says.
    pub image: ListedImage,
    /// `dc:identifier` of the list.
    pub list: ImageId,
    /// `ad:vo` of the list.
    pub vo: Option<String>,
    /// Its verified bytes; none while they are fetched.
    pub blob: Option<VerifiedBlob>,
}

/// How an image stands at one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationStatus {
    /// What is in circulation there; none where that is not known better than before.
    pub published: Option<Published>,
    /// Its name there.
    pub image_name: String,
    /// Whether the cloud was asked, and answered.
    pub asked: bool,
    /// Nothing of it is in circulation, as asked.
    pub withdrawn: bool,
    /// The reason of the `Published` condition.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// Images of it there that are out of circulation.
    pub retired: u32,
    /// Why others that should be are not wholly: one word, and what is missing.
    pub unfinished: Option<(&'static str, String)>,
    /// How far the conversion is that it waits for.
    pub progress: Option<Progress>,
}

/// A version in circulation at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The image's id there.
    pub id: u32,
    /// Its content.
    pub sha512: Sha512Digest,
    /// Its `hv:version`.
    pub version: String,
}

/// What the passes tell each other, in memory: every pass says it anew.
#[derive(Debug, Default)]
pub struct Publications(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    desired: BTreeMap<ObjectKey, Desired>,
    /// By target, the images for which a person asked for a try now, until a pass of the target has taken it up: the
    /// image's own next pass may come before that.
    asked: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// By target, then by image.
    standings: BTreeMap<ObjectKey, BTreeMap<ObjectKey, PublicationStatus>>,
    sessions: BTreeMap<ObjectKey, Arc<tokio::sync::Mutex<Session>>>,
    /// Which other forms of images a target wants.
    conversions: BTreeMap<ObjectKey, BTreeSet<ConversionKey>>,
    /// When a target wants to look again at an import that runs.
    importing: BTreeMap<ObjectKey, Timestamp>,
    changes: u64,
}

impl Publications {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what an image wants; `None` where the object is gone.
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

    /// What an image wants; `None` while no pass of it has said.
    pub fn desired(&self, image: &ObjectKey) -> Option<Desired> {
        self.held().desired.get(image).cloned()
    }

    /// How images stand at a target.
    pub fn standings(&self, target: &ObjectKey) -> BTreeMap<ObjectKey, PublicationStatus> {
        self.held().standings.get(target).cloned().unwrap_or_default()
    }

    /// Whether any image of its namespace wants something of a target.
    pub fn is_wanted(&self, target: &ObjectKey) -> bool {
        let names = |(key, desired): (&ObjectKey, &Desired)| is_of(key, desired, target);
        self.held().desired.iter().any(names)
    }

    /// What the images of its namespace want of a target.
    pub fn wanted_of(&self, target: &ObjectKey) -> Vec<(ObjectKey, Desired)> {
        let held = self.held();
        let of = held.desired.iter().filter(|(key, desired)| is_of(key, desired, target));
        of.map(|(key, desired)| (key.clone(), desired.clone())).collect()
    }

    /// The images for which a person asked for a try at that target, once.
    pub(in crate::reconcile) fn take_asked(&self, target: &ObjectKey) -> BTreeSet<ObjectKey> {
        self.held().asked.remove(target).unwrap_or_default()
    }

    /// How an image stands at a target; `None` while no pass of the target has said.
    pub fn standing(&self, target: &ObjectKey, image: &ObjectKey) -> Option<PublicationStatus> {
        self.held().standings.get(target)?.get(image).cloned()
    }

    /// Sets how images stand at a target, and when an import that runs there is looked at again.
    pub(in crate::reconcile) fn tell(
        &self,
        target: &ObjectKey,
        standings: BTreeMap<ObjectKey, PublicationStatus>,
        again: Option<Timestamp>,
    ) {
        let mut held = self.held();
        if held.standings.get(target) != Some(&standings) {
            held.standings.insert(target.clone(), standings);
            held.changes += 1;
        }
        match again {
            Some(at) => held.importing.insert(target.clone(), at),
            None => held.importing.remove(target),
        };
    }

    /// Sets which other forms of images a target wants. Gives those that it wanted before and that now nobody wants.
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

    /// Forgets images and targets that are gone.
    pub fn retain(&self, has_image: impl Fn(&ObjectKey) -> bool, has_target: impl Fn(&ObjectKey) -> bool) {
        let gone: Vec<ObjectKey> = {
            let mut held = self.held();
            held.desired.retain(|key, _| has_image(key));
            held.standings.keys().filter(|key| !has_target(key)).cloned().collect()
        };
        for target in &gone {
            self.forget(target);
        }
    }

    /// Forgets a target that is gone.
    pub(in crate::reconcile) fn forget(&self, target: &ObjectKey) {
        let mut held = self.held();
        let known = held.standings.remove(target).is_some();
        held.sessions.remove(target);
        held.importing.remove(target);
        held.asked.remove(target);
        held.changes += u64::from(known);
    }

    /// The session with a target's cloud.
    pub(in crate::reconcile) fn session(&self, target: &ObjectKey) -> Arc<tokio::sync::Mutex<Session>> {
        self.held().sessions.entry(target.clone()).or_default().clone()
    }

    /// A counter that goes up when an image stands otherwise than before.
    pub fn changes(&self) -> u64 {
        self.held().changes
    }

    /// When the next import that runs is looked at.
    pub fn importing_until(&self) -> Option<Timestamp> {
        self.held().importing.values().min().copied()
    }
}

/// Whether an image wants something of a target.
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
        };
        publications.want(&image, Some(desired(true)));
        // The image's next pass comes before the targets'.
        publications.want(&image, Some(desired(false)));
        let taken = |target| publications.take_asked(target).into_iter().collect::<Vec<_>>();
        assert_eq!((taken(&one), taken(&other)), (vec![image.clone()], Vec::new()));
        assert_eq!((taken(&one), taken(&two)), (Vec::new(), vec![image.clone()]));
    }
}
