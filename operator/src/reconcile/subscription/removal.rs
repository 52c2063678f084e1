//! Decides whether a list may drop its number of images. Pure.

use jiff::Timestamp;

use super::check::{Checked, Limit};
use super::observe::Observed;
use crate::api::{CachedImage, HasConditions};
use crate::imagelist::{ImageList, ListVersion};
use crate::trust::Sha256Digest;

/// A list that drops too many images and waits for the approval of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocked {
    /// SHA-256 of its message: the value for `acceptList`.
    pub digest: Sha256Digest,
    /// Its version.
    pub version: ListVersion,
    /// When it was created (`dc:date:created`).
    pub created: Timestamp,
    /// The number of its images that are not known yet.
    pub adds: usize,
    /// The number of cached images that it drops.
    pub removes: usize,
    /// The number of all cached images.
    pub cached: usize,
}

impl Blocked {
    /// The message for users: what is blocked, and how to accept it.
    pub(super) fn message(&self) -> String {
        let Self { digest, version, removes, cached, .. } = self;
        format!(
            "list {version} would drop {removes} of {cached} cached images; to take it, set verify.acceptList: {digest}"
        )
    }
}

/// Blocks an otherwise acceptable list if it drops too many of the cached images. Not used for expiry, revocation or a
/// changed selection. A list that a user `accepted` by `acceptList` is never blocked.
pub(super) fn judge(
    checked: &Checked,
    observed: &Observed,
    list: &ImageList,
    accepted: bool,
    digest: Sha256Digest,
) -> Option<Blocked> {
    if accepted {
        return None;
    }
    let listed = |identifier: &str| {
        list.images.iter().any(|image| image.identifier.as_str() == identifier)
            || list.refused.iter().any(|refused| refused.identifier == identifier)
    };
    let ours = observed.images.iter().filter(|image| image.spec.subscription_ref.name == checked.key.name);
    let cached: Vec<&CachedImage> = ours.map(|image| &**image).filter(|image| is_published(image)).collect();
    let removes = cached.iter().filter(|image| !listed(&image.spec.identifier)).count();
    let Limit { percent, free } = checked.removal_limit;
    let blocked = removes > free && removes * 100 > cached.len() * usize::from(percent);
    let known = |identifier: &str| observed.images.iter().any(|image| image.spec.identifier == identifier);
    blocked.then(|| Blocked {
        digest,
        version: list.version.clone(),
        created: list.created,
        adds: list.images.iter().filter(|image| !known(image.identifier.as_str())).count() + list.left_out.images,
        removes,
        cached: cached.len(),
    })
}

fn is_published(image: &CachedImage) -> bool {
    let endorsed = image.status.as_ref().filter(|status| status.is_true("Endorsed"));
    endorsed.is_some_and(|status| status.artifact.is_some())
}

/// The name of the condition, the reason and the event of a list that drops too many images.
pub(super) const REMOVAL_BLOCKED: &str = "RemovalBlocked";
