//! Whether an object is well. The exit code of a run depends on it.

use crate::api::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription};
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

/// An object with a status.
pub(super) trait HasStanding {
    /// Whether it is Ready, and none of its work failed.
    fn is_well(&self) -> bool;
}

impl HasStanding for Endorser {
    fn is_well(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.is_true("Ready"))
    }
}

impl HasStanding for ImageListSubscription {
    /// A list in force stays Ready while its server cannot be reached. The fetch failed all the same, so the object is
    /// not well.
    fn is_well(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.is_true("Ready") && !status.is_true("FetchFailed"))
    }
}

impl HasStanding for CachedImage {
    fn is_well(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.is_true("Ready"))
    }
}

impl HasStanding for CloudTarget {
    fn is_well(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.is_true("Ready"))
    }
}

/// Whether every object is well.
pub(super) fn all_are_well(directory: &Directory) -> bool {
    directory.all::<Endorser>().iter().all(|object| object.is_well())
        && directory.all::<ImageListSubscription>().iter().all(|object| object.is_well())
        && directory.all::<CachedImage>().iter().all(|object| object.is_well())
        && directory.all::<CloudTarget>().iter().all(|object| object.is_well())
}
