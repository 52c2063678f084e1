//! The policies of the image and its subscription: deletion, suspension and requests. Pure.

use super::check::Checked;
use super::observed::Observed;
use super::want::{Want, disowned, is_selected};

/// Why no new version is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// A user suspended the image or its subscription.
    Suspended,
    /// Its list can no longer be verified.
    ListFrozen,
}

/// Whether the image is archived because its object is being deleted. It is not if a subscription that stays would
/// create the object again. The subscription's object is used for this: in a foreground deletion its images are marked
/// for deletion with it, before its own pass has seen that.
pub(super) fn is_leaving(checked: &Checked, observed: &Observed) -> bool {
    is_retired(checked, observed) && (observed.namespace_ends || !is_selected_by_one_that_stays(checked, observed))
}

/// Whether the object, which is being deleted, would be created again unless its namespace is being deleted too.
pub(super) fn would_be_made_again(checked: &Checked, observed: &Observed) -> bool {
    let held = checked.deleting && checked.finalizer && is_retired(checked, observed);
    held && is_selected_by_one_that_stays(checked, observed)
}

fn is_selected_by_one_that_stays(checked: &Checked, observed: &Observed) -> bool {
    let list = observed.list.as_deref().filter(|list| !list.deleting && !observed.subscription.deleting);
    list.is_some_and(|list| is_selected(checked, list))
}

/// Whether the image is archived when its object is deleted: by the image's own deletionPolicy, else its
/// subscription's, else the policy that was in force before.
pub(super) fn is_retired(checked: &Checked, observed: &Observed) -> bool {
    let said = checked.retire.or(observed.subscription.retire);
    // If the subscription is gone or invalid, the list in force has the previous policy. Without a list, the finalizer
    // shows it.
    said.unwrap_or_else(|| observed.list.as_deref().map_or(checked.finalizer, |list| list.retire))
}

/// The requests for a pass now: the annotation on the image, on its subscription, or both.
pub(super) fn request(checked: &Checked, observed: &Observed) -> Option<String> {
    let subscription = observed.list.as_deref().and_then(|list| list.requested_at.as_ref());
    let asked: Vec<&str> = checked.requested_at.iter().chain(subscription).map(String::as_str).collect();
    (!asked.is_empty()).then(|| asked.join(" "))
}

/// Whether the image is taken out of circulation because its signer was revoked. It cannot be vetoed.
pub(super) fn is_revoked(observed: &Observed) -> bool {
    matches!(observed.want, Want::Out { reason: "CertificateRevoked" | "EndorserRevoked", .. })
}

/// Whether a user requests a try now, and no pass has handled the request.
pub(super) fn is_asked_anew(checked: &Checked, observed: &Observed) -> bool {
    let request = request(checked, observed);
    request.is_some() && request != observed.status.last_handled_reconcile_at
}

/// Whether the image or its subscription is suspended.
pub(super) fn is_suspended(checked: &Checked, observed: &Observed) -> bool {
    checked.suspend || observed.list.as_deref().is_some_and(|list| list.suspend)
}

/// Why no new version is published for now; `None` if nothing prevents it.
pub(super) fn hold(checked: &Checked, observed: &Observed) -> Option<Hold> {
    if is_suspended(checked, observed) {
        return Some(Hold::Suspended);
    }
    observed.list.as_deref().is_some_and(|list| list.frozen).then_some(Hold::ListFrozen)
}

/// An image in circulation that only a revoked signer endorsed is removed, unless the wanted version replaces it in
/// this pass.
pub(super) fn gone_with_its_signer(checked: &Checked, observed: &Observed) -> Option<Want> {
    let replaced = observed.blob.is_some() && hold(checked, observed).is_none();
    if replaced || matches!(observed.want, Want::Out { .. }) {
        return None;
    }
    let published = observed.entries.endorsed.iter().map(|entry| entry.digest);
    let targets = observed.status.targets.iter().filter(|target| target.id.is_some());
    let at_targets = targets.filter_map(|target| target.sha512.as_ref()?.parse().ok());
    let digests: Vec<_> = published.chain(at_targets).collect();
    disowned(checked, observed.list.as_deref(), &digests)
}
