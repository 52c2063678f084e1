//! Observes the images' desired states at the target, its Secret, other targets of the same cloud, and the cloud. Decides
//! nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::check::Checked;
use super::connection::cloud_connection;
use super::conversions::{Needed, needed};
use super::credentials::Access;
use super::deletion::Deletion;
use super::fingerprint::fingerprint;
use crate::api::{CachedImage, CloudTarget, CloudTargetStatus, ObjectKey};
use crate::cache::ConversionKey;
use crate::cloud::StoredRecord;
use crate::reconcile::context::{Context, ImagePaths};
use crate::reconcile::exchange::{Desired, DesiredState, Last, Session, state_path};
use crate::store::ResourceStore;

/// Everything that a plan is made from.
pub(super) struct Observed {
    /// The status of the pass before.
    pub status: CloudTargetStatus,
    /// The desired states of images, with their records.
    pub wanted: Vec<TargetImage>,
    /// The access to the cloud.
    pub access: Access,
    /// Images of the namespace that are in circulation there, according to their status.
    pub there: BTreeSet<ObjectKey>,
    /// The first target of the same cloud, if it is not this one.
    pub other: Option<String>,
    /// The state of its deletion.
    pub deletion: Deletion,
    /// Makes the paths of images on the image server; `None` if none runs.
    pub image_paths: Option<ImagePaths>,
    /// The last requests to this cloud with these settings, and the answer.
    pub last: Option<Arc<Last>>,
}

/// The desired state of one image at the target.
pub(super) struct TargetImage {
    /// The key of the image's object.
    pub image: ObjectKey,
    /// Its desired state.
    pub desired: Desired,
    /// Its record on the volume.
    pub record: StoredRecord,
    /// The conversion that it needs for this target.
    pub needed: Option<Needed>,
}

/// Observes everything that a plan is made from.
pub(super) async fn observe<S: ResourceStore>(
    context: &Context<S>,
    object: &CloudTarget,
    checked: &Checked,
    deletion: Deletion,
    session: &mut Session,
    now: Timestamp,
) -> Observed {
    let wanted = context.publications.wanted_of(&checked.key).into_iter();
    let asked = context.publications.take_asked(&checked.key);
    let wanted = wanted.map(|(image, mut desired)| {
        desired.asked = asked.contains(&image);
        let record = record(context, checked, &desired);
        let needed = conversion(checked, &desired).map(|key| Needed::look(&context.jobs, key, now));
        TargetImage { image, desired, record, needed }
    });
    let mut wanted: Vec<TargetImage> = wanted.collect();
    if object.spec.r#type.compares_sha1() && context.volume.is_writable() {
        for image in wanted.iter_mut().filter(|image| image.needed.is_none()) {
            know_sha1(context, &checked.key, &mut image.desired, now).await;
        }
    }
    let store = &*context.store;
    let read = cloud_connection(store, checked).await;
    let access = session.credentials.take(checked, deletion.is_held(), read);
    let same = access.connection().is_some_and(|connection| session.is_with(&fingerprint(&**connection)));
    Observed {
        status: object.status.clone().unwrap_or_default(),
        wanted,
        access,
        last: session.last.clone().filter(|_| same),
        there: there(context, &checked.key),
        other: other(context, object, checked),
        deletion,
        image_paths: context.image_paths.clone(),
    }
}

/// The images that are in circulation at a target, according to their status.
fn there<S: ResourceStore>(context: &Context<S>, target: &ObjectKey) -> BTreeSet<ObjectKey> {
    let is_there = |image: &CachedImage| {
        let mut targets = image.status.iter().flat_map(|status| &status.targets);
        targets.any(|known| known.name == target.name && known.id.is_some())
    };
    let images = context.store.list::<CachedImage>(&target.namespace);
    images.iter().filter(|image| is_there(image)).map(|image| ObjectKey::of(&**image)).collect()
}

/// Computes the SHA-1 of bytes that came before a cloud that compares it was named. Without it, the bytes are not handed
/// over.
async fn know_sha1<S: ResourceStore>(context: &Context<S>, target: &ObjectKey, desired: &mut Desired, now: Timestamp) {
    let Some(DesiredState::Publish(offer)) = desired.at.get_mut(&target.name) else { return };
    if offer.blob.as_ref().is_none_or(|blob| blob.sha1().is_some()) {
        return;
    }
    let offer = Arc::make_mut(offer);
    let Some(blob) = offer.blob.take() else { return };
    // It reads the whole image, so it must not block the other passes.
    match context.volume.blocking("compute a SHA-1 on", move |volume| volume.with_sha1(&blob, now)).await {
        Ok(blob) => offer.blob = blob,
        Err(error) => tracing::warn!(%target, identifier = %desired.identifier, %error, "SHA-1 is not known"),
    }
}

/// The conversion that an image needs for this target.
fn conversion(checked: &Checked, desired: &Desired) -> Option<ConversionKey> {
    match desired.at.get(&checked.key.name)? {
        DesiredState::Publish(offer) => needed(checked, offer.blob.as_ref()?),
        DesiredState::Withdraw | DesiredState::Leave | DesiredState::Release => None,
    }
}

/// The first target of this namespace, by name, of the same cloud, if it is not this one. Targets that are
/// being deleted neither block others nor are blocked.
fn other<S: ResourceStore>(context: &Context<S>, object: &CloudTarget, checked: &Checked) -> Option<String> {
    let own = object.spec.access()?;
    let same = |target: &&Arc<CloudTarget>| target.spec.access().is_some_and(|other| own.is_same_place(&other));
    if checked.deleting.is_some() {
        return None;
    }
    let all = context.store.list::<CloudTarget>(&checked.key.namespace);
    let stay = all.iter().filter(|target| target.metadata.deletion_timestamp.is_none());
    let first = stay.filter(same).filter_map(|target| target.metadata.name.clone()).min()?;
    (first < checked.key.name).then_some(first)
}

/// The record of an image at this target. A record that cannot be read is moved aside: the images in the cloud have
/// enough information.
fn record<S: ResourceStore>(context: &Context<S>, checked: &Checked, desired: &Desired) -> StoredRecord {
    let Ok(path) = state_path(&checked.key, &desired.identifier) else { return StoredRecord::default() };
    match context.volume.read_state(&path) {
        Ok(record) => record.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(target = %checked.key, identifier = %desired.identifier, %error, "what was published is looked up in the cloud");
            if let Err(error) = context.volume.set_state_aside(&path) {
                tracing::warn!(%error, "it could not be moved aside");
            }
            StoredRecord::default()
        }
    }
}
