//! A digest of everything that a pass over a published image reads besides its object. Nothing is read for it but the
//! attributes of files.

use super::check::{Checked, Pin};
use crate::api::{CachedImage, HasConditions, ImageListSubscription};
use crate::digest::Sha256Digest;
use crate::reconcile::context::Context;
use crate::reconcile::exchange::ListInForce;
use crate::store::ResourceStore;

/// The digest of the inputs of a pass: the subscription, its list, and the attributes of the image's files. `None` if the
/// image is not one whose pass can be left out, or if something has changed just now.
pub(super) fn inputs<S: ResourceStore>(
    context: &Context<S>,
    object: &CachedImage,
    checked: &Checked,
    list: Option<&ListInForce>,
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
    let published = status.artifact.as_ref()?.sha512.parse().ok()?;
    let stated = list.entry(&checked.image.identifier)?.digest.sha256();
    // What cannot be looked at is reported by the pass.
    let stamps = context.volume.image_stamps(&checked.image, &published, stated.as_ref()).ok()??;
    let of = &subscription.metadata;
    let of = format!("{:?} {:?} {:?}", of.uid, of.generation, of.deletion_timestamp);
    let stamps: Vec<[u8; 56]> = stamps.bytes().collect();
    let parts = [list.digest().digits().into_bytes(), of.into_bytes(), published.to_string().into_bytes()];
    Some(Sha256Digest::of_parts(parts.iter().map(Vec::as_slice).chain(stamps.iter().map(<[u8; 56]>::as_slice))))
}
