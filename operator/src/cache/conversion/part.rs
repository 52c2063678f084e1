//! The progress of a conversion: its current part, and the progress in that part.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::cache::progress::{Figures, Progress};
pub use crate::convert::Part;

/// The progress of a conversion.
pub(super) struct PartProgress {
    part: Mutex<Part>,
    progress: Progress,
}

impl PartProgress {
    /// A conversion that waits for a slot. `changed` is incremented when its state changes.
    pub(super) fn new(changed: &watch::Sender<u64>) -> Self {
        let progress = Progress::new(0);
        progress.tell_changes(changed);
        Self { part: Mutex::new(Part::Unpack), progress }
    }

    /// Begins a part of `total` bytes.
    pub(super) fn begin(&self, part: Part, total: u64) {
        *self.part() = part;
        self.progress.begin(total);
    }

    /// Sets the progress: `bytes` of the `total` bytes of a part are done.
    pub(super) fn set(&self, part: Part, bytes: u64, total: u64) {
        let same = *self.part() == part && self.progress.figures().is_some_and(|figures| figures.total == total);
        if !same {
            self.begin(part, total);
        }
        self.progress.set_bytes(bytes);
    }

    /// The progress; `None` while it waits.
    pub(super) fn figures(&self) -> Option<(Part, Figures)> {
        self.progress.figures().map(|figures| (*self.part(), figures))
    }

    /// The same, but at most some seconds old.
    pub(super) fn told(&self, now: Instant) -> Option<(Part, Figures)> {
        self.progress.told(now).map(|figures| (*self.part(), figures))
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
