//! Which versions are not given out although they are on the volume, by the rules of `image get`. Pure.

use super::health::WITHDRAWN;
use crate::api::{CachedImage, HasConditions as _, ImageListSubscription};
use crate::imagelist::Sha512Digest;
use crate::reconcile::{Force, ListInForce};

/// Why a version of an image is not given out; `None` if it is. Bytes whose signer was revoked, and bytes that the site
/// excludes, are not.
pub(super) fn withheld(
    image: &CachedImage,
    subscription: Option<&ImageListSubscription>,
    list: Option<&ListInForce>,
    digest: &Sha512Digest,
) -> Option<String> {
    let endorsed = image.status.as_ref().and_then(|status| status.condition("Endorsed"));
    if let Some(out) = endorsed.filter(|one| one.status == "False" && WITHDRAWN.contains(&one.reason.as_str())) {
        return Some(format!("{}: {}", out.reason, out.message));
    }
    if let Some(Force::Withdrawn { reason, message }) = list.map(|list| &list.force) {
        return Some(format!("{reason}: {message}"));
    }
    let excluded = subscription.map(|object| &object.spec.images.exclude);
    if excluded.is_some_and(|exclude| exclude.sha512.iter().any(|text| text.parse() == Ok(*digest))) {
        return Some("Excluded: the subscription excludes these bytes".to_owned());
    }
    // Only a list whose signer was revoked has these bytes.
    let by = list?.disowned(&image.spec.identifier.parse().ok()?, digest)?;
    Some(format!("{}: {}", by.reason, by.message))
}
