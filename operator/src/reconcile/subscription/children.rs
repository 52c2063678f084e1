//! Which image objects a subscription creates, keeps and deletes. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::check::Checked;
use super::look_back::is_pinned;
use super::observe::Observed;
use super::step::Step;
use crate::api::{CachedImage, FINALIZER, HasConditions, ImageCounts, ImageNote, ObjectKey};
use crate::imagelist::{ImageId, ListedImage};
use crate::reconcile::conditions::{message, shorten};
use crate::reconcile::exchange::ListInForce;
use crate::reconcile::versions::is_content_of;

/// A wanted image that is not ready after this time counts as late. Monitoring of sites alerts on late images.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The maximum number of notes in a status.
const MOST_NOTES: usize = 20;

/// The result of the selection from a list.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// The steps that create and delete objects.
    pub steps: Vec<Step>,
    /// Counts of the list's images.
    pub counts: ImageCounts,
    /// Notes about images that were refused, conflict or are missing, at most `MOST_NOTES`.
    pub notes: Vec<ImageNote>,
}

/// Compares the selection with the existing images.
pub(super) fn plan(checked: &Checked, observed: &Observed, list: Option<&ListInForce>, now: Timestamp) -> Children {
    let mut children = Children::default();
    if checked.deleting {
        children.steps = let_go(checked, observed);
        return children;
    }
    if checked.retire != checked.finalizer && (checked.retire || !holds_by_its_word(checked, observed)) {
        children.steps.push(Step::Finalize(checked.retire));
    }
    let Some(in_force) = list else { return children };
    let list = in_force.accepted.list();
    let selected = checked.selection.select(list);
    let images: BTreeMap<&str, &CachedImage> =
        observed.images.iter().map(|image| (image.metadata.name.as_deref().unwrap_or_default(), &**image)).collect();
    for image in &selected.selected {
        match images.get(image.identifier.object_name().as_str()) {
            None => children.steps.push(Step::ApplyImage(image.identifier.clone())),
            Some(there) if is_ours(checked, there) => count(&mut children.counts, image, there, now),
            Some(there) => children.note(&image.identifier.to_string(), "IdentifierConflict", &conflict(there)),
        }
    }
    children.steps.extend(gone(checked, observed, &selected.selected));
    let refused = list.refused.len() + list.left_out.refused;
    children.counts.listed = number(list.images.len() + list.left_out.images + refused);
    children.counts.selected = number(selected.selected.len());
    children.counts.refused = number(refused);
    children.counts.missing = number(selected.missing.len());
    for refused in &list.refused {
        children.note(&refused.identifier, refused.reason.as_str(), &refused.message);
    }
    for missing in &selected.missing {
        children.note(missing.as_str(), "NotInList", "included by its identifier, and the list has no such image");
    }
    children
}

/// Whether an image still has its finalizer because of this subscription's `Retire` policy. The image must see the
/// changed policy before this object can be deleted without a finalizer.
fn holds_by_its_word(checked: &Checked, observed: &Observed) -> bool {
    owned(checked, observed)
        .any(|image| image.spec.deletion_policy.is_none() && image.finalizers().iter().any(|name| name == FINALIZER))
}

/// The steps of a subscription that is being deleted: its images are deleted first, each by its own pass, then the
/// finalizer is removed.
fn let_go(checked: &Checked, observed: &Observed) -> Vec<Step> {
    let owned: Vec<&CachedImage> = owned(checked, observed).collect();
    if owned.is_empty() && checked.finalizer {
        return vec![Step::Finalize(false)];
    }
    let unmarked = owned.into_iter().filter(|image| image.metadata.deletion_timestamp.is_none());
    unmarked.map(|image| Step::DeleteImage(ObjectKey::of(image))).collect()
}

/// The steps that delete the objects of images that are no longer selected, once they are archived.
fn gone(checked: &Checked, observed: &Observed, selected: &[&ListedImage]) -> Vec<Step> {
    let selected: Vec<String> = selected.iter().map(|image| image.identifier.object_name()).collect();
    let mut names: Vec<&str> = selected.iter().map(String::as_str).collect();
    names.sort_unstable();
    owned(checked, observed)
        .filter(|image| image.metadata.deletion_timestamp.is_none())
        .filter(|image| names.binary_search(&image.metadata.name.as_deref().unwrap_or_default()).is_err())
        .filter(|image| is_out(image))
        .map(|image| Step::DeleteImage(ObjectKey::of(image)))
        .collect()
}

/// The images that this subscription created.
fn owned<'a>(checked: &'a Checked, observed: &'a Observed) -> impl Iterator<Item = &'a CachedImage> {
    observed.images.iter().map(|image| &**image).filter(|image| {
        is_ours(checked, image) && image.owner_references().iter().any(|owner| owner.name == checked.key.name)
    })
}

fn is_ours(checked: &Checked, image: &CachedImage) -> bool {
    image.spec.subscription_ref.name == checked.key.name
}

/// Whether the image's own pass found that it is not endorsed, and it has neither a published path nor an image at a
/// target.
fn is_out(image: &CachedImage) -> bool {
    let current = image.status.as_ref().filter(|status| status.observed_generation == image.metadata.generation);
    current.is_some_and(|status| {
        let refused = status.condition("Endorsed").is_some_and(|condition| condition.status == "False");
        let at_targets = status.targets.iter().any(|target| target.id.is_some() || target.image_name.is_some());
        refused && status.artifact.is_none() && !at_targets
    })
}

fn count(counts: &mut ImageCounts, listed: &ListedImage, image: &CachedImage, now: Timestamp) {
    let Some(status) = &image.status else { return };
    let ready = status.is_true("Ready");
    let kept = status.condition("Ready").is_some_and(|condition| condition.reason == "Kept");
    // An image that has not seen this list yet is ready for an older list.
    let current = status.image.as_ref().is_some_and(|wanted| is_content_of(listed, wanted));
    counts.ready += u32::from(ready && (current || kept || is_pinned(image)));
    counts.kept += u32::from(kept);
    counts.failed += u32::from(!ready && status.failures.unwrap_or(0) > 0);
    let since = status.image.as_ref().map(|wanted| wanted.wanted_since.0);
    counts.late += u32::from(!ready && since.is_some_and(|since| now.duration_since(since) > LATE_AFTER));
}

fn conflict(there: &CachedImage) -> String {
    format!("the image belongs to the subscription {} already", there.spec.subscription_ref.name)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Children {
    fn note(&mut self, identifier: &str, reason: &str, text: &str) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(ImageNote {
                identifier: shorten(identifier, ImageId::MAXIMUM_LENGTH),
                reason: reason.to_owned(),
                message: message(text, 256),
            });
        }
    }
}
