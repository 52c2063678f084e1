//! Whether an object is as it should be, as the exit code of a run judges it.

use crate::api::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription};
use crate::store::Cluster as _;
use crate::store::directory::Directory;

/// Which objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of them.
    All,
    /// Those that are not as they should be.
    NotWell,
}

/// An object that says how it is.
pub(super) trait HasStanding {
    /// Whether it says Ready, and nothing else of it failed.
    fn is_well(&self) -> bool;
}

impl HasStanding for Endorser {
    fn is_well(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.is_true("Ready"))
    }
}

impl HasStanding for ImageListSubscription {
    /// A list in force stays Ready while its server cannot be asked; the run could not do its work all the same.
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
