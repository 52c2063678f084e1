//! May a list drop so many images? Pure.

use jiff::Timestamp;

use super::check::{Checked, Limit};
use super::observe::Observed;
use crate::api::{CachedImage, HasConditions};
use crate::imagelist::{ImageList, ListVersion};
use crate::trust::Sha256Digest;

/// A list that drops too many, and waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocked {
    /// SHA-256 of its message: what `acceptList` names.
    pub digest: Sha256Digest,
    /// Its version.
    pub version: ListVersion,
    /// When it was made.
    pub created: Timestamp,
    /// Images that it has and the list in force has not.
    pub adds: usize,
    /// Cached images that it drops.
    pub removes: usize,
    /// Cached images in all.
    pub cached: usize,
}

impl Blocked {
    /// What is blocked, and what a person may do.
    pub(super) fn message(&self) -> String {
        let Self { digest, version, removes, cached, .. } = self;
        format!(
            "list {version} would drop {removes} of {cached} cached images; to take it, set verify.acceptList: {digest}"
        )
    }
}

/// Whether a list that may otherwise replace the one in force drops too many of the cached images. Expiry, revocation
/// and one's own selection never come here, nor what a person `accepted` by `acceptList`.
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

/// The condition, the reason and the event of a list that drops too many images.
pub(super) const REMOVAL_BLOCKED: &str = "RemovalBlocked";
