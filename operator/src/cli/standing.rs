//! Whether an object is well. The exit code of a run depends on it.

use crate::api::{HasConditions as _, Kind, Resource, for_each_kind};
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;

/// Which objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of them.
    All,
    /// Those that are not well.
    NotWell,
}

/// Whether an object is Ready, and none of its work failed. A list in force stays Ready while its server cannot be
/// reached. The fetch failed all the same, so the subscription is not well.
pub(super) fn is_well<K: Resource>(object: &K) -> bool {
    let has_failed = |status: &K::Status| K::KIND == Kind::Subscription && status.is_true("FetchFailed");
    object.status().is_some_and(|status| status.is_true("Ready") && !has_failed(status))
}

/// Whether every object is well.
pub(super) fn all_are_well(directory: &Directory) -> bool {
    let mut well = true;
    for_each_kind!(K => well &= directory.all::<K>().iter().all(|object| is_well(&**object)));
    well
}
