//! A digest of everything that a pass over a published image reads besides its object. Nothing is read for it but the
//! attributes of files.

use std::fs::File;

use super::check::{Checked, Pin};
use crate::api::{CachedImage, HasConditions, ImageListSubscription};
use crate::cache::ImageStamps;
use crate::digest::Sha256Digest;
use crate::reconcile::context::Context;
use crate::reconcile::exchange::ListInForce;
use crate::store::ResourceStore;

/// The digest of the inputs of a pass: the subscription, its list, and the attributes of the image's files, which are
/// looked at if `stamps` has none. `None` if the image is not one whose pass can be left out, or if something has changed
/// just now.
pub(super) fn inputs<S: ResourceStore>(
    context: &Context<S>,
    object: &CachedImage,
    checked: &Checked,
    list: Option<&ListInForce>,
    stamps: Option<&ImageStamps>,
) -> Option<Sha256Digest> {
    // A dry run shows each plan.
    if context.dry_run.is_some() || checked.pin != Pin::default() || checked.deleting || checked.adopt.is_some() {
        return None;
    }
    let (status, list) = (object.status.as_ref().filter(|status| status.is_true("Ready"))?, list?);
    let subscription = context.store.get::<ImageListSubscription>(&checked.subscription)?;
    let names_no_target = checked.targets.as_ref().map_or(subscription.spec.target_refs.is_empty(), Vec::is_empty);
    if !names_no_target || !status.targets.is_empty() || context.downloads.get(&checked.key).is_some() {
        return None;
    }
    let published = &status.artifact.as_ref()?.sha512;
    let learned = match list.entry(&checked.image.identifier)?.digest.sha256() {
        Some(stated) => Some(context.volume.learned_stamp(&stated).ok()??),
        None => None,
    };
    let stamps = match stamps {
        Some(stamps) => *stamps,
        None => look(context, &context.volume.open_root().ok()?, object, checked)?,
    };
    let of = &subscription.metadata;
    let of = format!("{:?} {:?} {:?}", of.uid, of.generation, of.deletion_timestamp);
    let digests = [Some(list.digest()), Some(*stamps.digest()), learned].into_iter().flatten();
    let digests: Vec<Sha256Digest> = digests.collect();
    let parts = digests.iter().map(|digest| &digest.as_bytes()[..]).chain([of.as_bytes(), published.as_bytes()]);
    Some(Sha256Digest::of_parts(parts))
}

/// The attributes of an image's files, with the open directory of the volume. What cannot be looked at is reported by the
/// pass.
pub(super) fn look<S: ResourceStore>(
    context: &Context<S>,
    root: &File,
    object: &CachedImage,
    checked: &Checked,
) -> Option<ImageStamps> {
    let published = object.status.as_ref()?.artifact.as_ref()?.sha512.parse().ok()?;
    context.volume.image_stamps(root, &checked.image, &published).ok()?
}
