//! How far a conversion is: in which part, and how far in that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

pub use crate::convert::Part;

use crate::cache::progress::{Figures, Progress};

/// How far a conversion is.
pub(super) struct PartProgress {
    part: Mutex<Part>,
    progress: Progress,
}

impl PartProgress {
    /// It waits for its turn.
    pub(super) fn new(changed: &watch::Sender<u64>) -> Self {
        let progress = Progress::new(0);
        progress.tell_changes(changed);
        Self { part: Mutex::new(Part::Unpack), progress }
    }

    /// A part begins, of so many bytes.
    pub(super) fn begin(&self, part: Part, total: u64) {
        *self.part() = part;
        self.progress.begin(total);
    }

    /// So many bytes of a part of so many are done.
    pub(super) fn set(&self, part: Part, bytes: u64, total: u64) {
        let same = *self.part() == part && self.progress.figures().is_some_and(|figures| figures.total == total);
        if !same {
            self.begin(part, total);
        }
        self.progress.set_bytes(bytes);
    }

    /// How far it is; `None` while it waits.
    pub(super) fn figures(&self) -> Option<(Part, Figures)> {
        self.progress.figures().map(|figures| (*self.part(), figures))
    }

    /// The same, as it was some seconds ago at most.
    pub(super) fn told(&self, now: Instant) -> Option<(Part, Figures)> {
        self.progress.told(now).map(|figures| (*self.part(), figures))
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
