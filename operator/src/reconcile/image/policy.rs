//! What the image, its subscription and their deletion policies say of it. Pure.

use super::check::Checked;
use super::observed::Observed;
use super::want::is_selected;

/// Why no new version comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// A person suspended the image or its subscription.
    Suspended,
    /// Its list can no longer be verified as on its first day.
    ListFrozen,
}

/// Whether the image goes out with its object. A subscription that is being deleted makes no image again: its object
/// is asked, for in a foreground deletion the images are marked with it, before its own pass has seen that.
pub(super) fn is_leaving(checked: &Checked, observed: &Observed) -> bool {
    is_retired(checked, observed) && (observed.namespace_ends || !is_selected_by_one_that_stays(checked, observed))
}

/// Whether the object that goes would be made again, unless its namespace goes too.
pub(super) fn would_be_made_again(checked: &Checked, observed: &Observed) -> bool {
    let held = checked.deleting && checked.finalizer && is_retired(checked, observed);
    held && is_selected_by_one_that_stays(checked, observed)
}

fn is_selected_by_one_that_stays(checked: &Checked, observed: &Observed) -> bool {
    let list = observed.list.as_deref().filter(|list| !list.deleting && !observed.subscription.deleting);
    list.is_some_and(|list| is_selected(checked, list))
}

/// Whether the image is archived when its object is deleted: by its own word, its subscription's, or what that said.
pub(super) fn is_retired(checked: &Checked, observed: &Observed) -> bool {
    let said = checked.retire.or(observed.subscription.retire);
    // Where nobody says anything any more, what was said before holds the object.
    said.unwrap_or_else(|| observed.list.as_deref().map_or(checked.finalizer, |list| list.retire))
}

/// What asks for a pass now: the annotation on the image, on its subscription, or both.
pub(super) fn request(checked: &Checked, observed: &Observed) -> Option<String> {
    let subscription = observed.list.as_deref().and_then(|list| list.requested_at.as_ref());
    let asked: Vec<&str> = checked.requested_at.iter().chain(subscription).map(String::as_str).collect();
    (!asked.is_empty()).then(|| asked.join(" "))
}

/// Whether the image or its subscription is suspended.
pub(super) fn is_suspended(checked: &Checked, observed: &Observed) -> bool {
    checked.suspend || observed.list.as_deref().is_some_and(|list| list.suspend)
}

/// What keeps a new version from coming.
pub(super) fn hold(checked: &Checked, observed: &Observed) -> Option<Hold> {
    if is_suspended(checked, observed) {
        return Some(Hold::Suspended);
    }
    observed.list.as_deref().is_some_and(|list| list.frozen).then_some(Hold::ListFrozen)
}
