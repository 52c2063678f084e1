//! The deletion of a target, which waits for its images.
//!
//! Images are not left in the cloud silently: the finalizer stays until each image at the target may stay there (its
//! pass released it) or is out of circulation.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::{CachedImage, CloudTarget, DeletionPolicy, FINALIZER, ImageListSubscription, ObjectKey};
use crate::cloud::StoredRecord;
use crate::imagelist::ImageId;
use crate::reconcile::context::Context;
use crate::reconcile::exchange::{Desired, DesiredState, PublicationStatus, state_path};
use crate::size::Count;
use crate::store::{ResourceStore, StoreError};

/// How soon it is checked again whether the subscriptions have had their first pass after a start.
const SOON: SignedDuration = SignedDuration::from_secs(5);

/// The state of a target's deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It is not being deleted.
    Stays {
        /// Its finalizer is missing, and must be added.
        unheld: bool,
        /// Something is published there, or will be.
        used: bool,
    },
    /// It is being deleted, and waits for images.
    Blocked {
        /// The identifiers of the images.
        images: Vec<String>,
        /// The number of them that still name the target. They are retired when their objects are deleted; their
        /// objects are not being deleted yet.
        named: usize,
        /// When to check again without a change, because not all images may have been seen yet.
        again: Option<Timestamp>,
        /// Subscriptions that retire their images, and of which no pass has read the list in force since the start.
        unread: Vec<String>,
    },
    /// It is being deleted, and waits for nothing.
    Free,
}

impl Deletion {
    /// Whether the object needs the finalizer.
    pub(super) fn is_held(&self) -> bool {
        match self {
            Self::Stays { used, .. } => *used,
            Self::Blocked { .. } => true,
            Self::Free => false,
        }
    }
}

/// Checks the images of a target's namespace.
pub(super) fn look<S: ResourceStore>(context: &Context<S>, object: &CloudTarget, now: Timestamp) -> Deletion {
    let key = ObjectKey::of(object);
    let held = object.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER);
    let images = context.store.list::<CachedImage>(&key.namespace);
    let Some(since) = object.metadata.deletion_timestamp.as_ref().map(|time| time.0) else {
        let used = context.publications.is_wanted(&key)
            || images.iter().any(|image| is_known(image, &key.name) || is_born_again(context, &key, image))
            || !unborn(context, &key, &images).is_empty();
        return Deletion::Stays { unheld: !held && used, used };
    };
    let others = others(context, object);
    let blocking = images.iter().filter(|image| {
        let image_key = ObjectKey::of(&***image);
        let desired = context.publications.desired(&image_key);
        let publication = context.publications.status(&key, &image_key);
        let elsewhere = desired.as_ref().is_some_and(|desired| is_wanted_at(desired, &others));
        !elsewhere && blocks(&key.name, may_be_known(image, &key.name), desired.as_ref(), publication.as_ref())
    });
    let blocking: Vec<_> = blocking.collect();
    let named =
        blocking.iter().filter(|image| image.metadata.deletion_timestamp.is_none() && stays(context, image, &key));
    let named = named.count();
    let blocking: Vec<String> = blocking.iter().map(|image| image.spec.identifier.clone()).collect();
    let blocking = [blocking, unborn(context, &key, &images)].concat();
    let lag_ends = since.checked_add(context.store.watch_lag()).ok().filter(|end| *end > now);
    // A deletion time in the future comes from another clock. It is ignored.
    let lag_ends = lag_ends.filter(|_| since <= now);
    let unread = unread(context, &key);
    let soon = (!unread.is_empty()).then(|| now.checked_add(SOON).ok()).flatten();
    match (blocking.is_empty(), lag_ends.or(soon)) {
        (true, None) => Deletion::Free,
        (_, again) => Deletion::Blocked { images: blocking, named, again, unread },
    }
}

/// Removes the finalizer.
pub(super) async fn let_go<S: ResourceStore>(context: &Context<S>, object: &CloudTarget) -> Result<(), StoreError> {
    let key = ObjectKey::of(object);
    match context.store.set_finalizer::<CloudTarget>(&key, false).await {
        Err(StoreError::Gone { .. }) => Ok(()),
        other => other,
    }
}

/// Whether an image's status contains a target.
fn is_known(image: &CachedImage, target: &str) -> bool {
    image.status.iter().flat_map(|status| &status.targets).any(|known| known.name == target)
}

/// The same, but true for an image that has had no pass yet: the volume may have a record of it.
fn may_be_known(image: &CachedImage, target: &str) -> bool {
    is_known(image, target) || is_unseen(image)
}

/// Whether an image has had no pass yet.
fn is_unseen(image: &CachedImage) -> bool {
    let looked_at = image.status.as_ref().and_then(|status| status.observed_generation);
    looked_at.is_none_or(|generation| generation < 0)
}

/// Whether an image whose object was created again has a record at a target on the volume.
fn is_born_again<S: ResourceStore>(context: &Context<S>, target: &ObjectKey, image: &CachedImage) -> bool {
    is_unseen(image) && image.spec.identifier.parse().is_ok_and(|identifier| is_recorded(context, target, &identifier))
}

/// Whether an image wants that its images at the target stay.
fn stays<S: ResourceStore>(context: &Context<S>, image: &CachedImage, target: &ObjectKey) -> bool {
    let desired = context.publications.desired(&ObjectKey::of(image));
    desired.is_some_and(|desired| matches!(desired.at.get(&target.name), Some(DesiredState::Leave)))
}

/// The subscriptions that retire their images, have a list in force, and have not read it since the start: they may make
/// an image again. One whose spec cannot work stays among them until a person repairs or deletes it.
fn unread<S: ResourceStore>(context: &Context<S>, target: &ObjectKey) -> Vec<String> {
    let is_unread = |object: &Arc<ImageListSubscription>| {
        let has_list = object.status.as_ref().is_some_and(|status| status.list.is_some());
        has_list && context.lists.get(&ObjectKey::of(&**object)).is_none()
    };
    let retiring = retiring(context, target).into_iter().filter(is_unread);
    retiring.filter_map(|object| object.metadata.name.clone()).collect()
}

/// The subscriptions that name the target and retire their images when they are deleted.
fn retiring<S: ResourceStore>(context: &Context<S>, target: &ObjectKey) -> Vec<Arc<ImageListSubscription>> {
    let mut subscriptions = context.store.list::<ImageListSubscription>(&target.namespace);
    subscriptions.retain(|object| {
        let names = object.spec.target_refs.iter().any(|reference| reference.name == target.name);
        names && object.metadata.deletion_timestamp.is_none() && object.spec.deletion_policy == DeletionPolicy::Retire
    });
    subscriptions
}

/// Images without an object that a subscription will create again, to be retired with it. Only the volume has a record
/// of them.
fn unborn<S: ResourceStore>(context: &Context<S>, target: &ObjectKey, images: &[Arc<CachedImage>]) -> Vec<String> {
    let subscriptions = retiring(context, target);
    let names: BTreeSet<_> = images.iter().filter_map(|image| image.metadata.name.as_deref()).collect();
    let mut unborn = Vec::new();
    for list in subscriptions.iter().filter_map(|object| context.lists.get(&ObjectKey::of(&**object))) {
        let selected = list.selection.select(list.accepted.list()).selected;
        let identifiers = selected.into_iter().map(|image| &image.identifier);
        let missing = identifiers.filter(|identifier| !names.contains(identifier.object_name().as_str()));
        unborn.extend(missing.filter(|one| is_recorded(context, target, one)).map(ToString::to_string));
    }
    unborn
}

/// Whether the volume has a record of an image at a target. A record that cannot be read counts as one.
fn is_recorded<S: ResourceStore>(context: &Context<S>, target: &ObjectKey, identifier: &ImageId) -> bool {
    let Ok(path) = state_path(target, identifier) else { return false };
    let record = context.volume.read_state::<StoredRecord>(&path);
    record.map_or(true, |record| record.is_some_and(|record| record.may_be_there()))
}

/// Whether the target must wait for an image, from the image's desired and current state. Pure.
fn blocks(target: &str, known: bool, desired: Option<&Desired>, publication: Option<&PublicationStatus>) -> bool {
    let Some(desired) = desired else { return known };
    match desired.at.get(target) {
        None | Some(DesiredState::Release) => false,
        Some(DesiredState::Withdraw) => {
            !publication.is_some_and(|publication| publication.asked && publication.withdrawn)
        }
        // This state was set before the image knew that the target is being deleted.
        Some(DesiredState::Publish(_) | DesiredState::Leave) => true,
    }
}

/// Whether an image is to be published at one of these targets.
fn is_wanted_at(desired: &Desired, targets: &[String]) -> bool {
    targets.iter().any(|name| matches!(desired.at.get(name), Some(DesiredState::Publish(_))))
}

/// Other targets of the namespace with the same cloud that are not being deleted. Images that one of them publishes
/// belong to it.
fn others<S: ResourceStore>(context: &Context<S>, object: &CloudTarget) -> Vec<String> {
    let Some(own) = object.spec.access() else { return Vec::new() };
    let is_same = |other: &CloudTarget| other.spec.access().is_some_and(|other| own.is_same_place(&other));
    let all = context.store.list::<CloudTarget>(&ObjectKey::of(object).namespace);
    let stay = all.iter().filter(|other| other.metadata.deletion_timestamp.is_none());
    stay.filter(|other| is_same(other)).filter_map(|other| other.metadata.name.clone()).collect()
}

/// The message of a target that is held, with the obstacle.
pub(super) fn told(images: &[String], unread: &[String], retiring: usize, obstacle: &str) -> String {
    const MOST: usize = 5;
    let named = images.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    let more = images.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let waits = if images.is_empty() && unread.is_empty() {
        "until a pass over each image has ended".to_owned()
    } else if images.is_empty() {
        format!("until the list in force of the ImageListSubscription {} is read", unread.join(", "))
    } else {
        format!("for {}, until out of circulation: {named}{more}", Count(images.len(), "image"))
    };
    let retiring = if retiring > 0 {
        format!(
            "; {} to be retired with the object (deletionPolicy Retire): delete that, or take the target out of targetRefs",
            Count(retiring, "image")
        )
    } else {
        String::new()
    };
    let obstacle = if obstacle.is_empty() { String::new() } else { format!("; {obstacle}") };
    format!("being deleted, and held {waits}{retiring}{obstacle}")
}
