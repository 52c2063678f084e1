//! The directories of entries that were read. One that has not changed since is not read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::version::{Entry, UNSURE};
use crate::fs::Stamp;

/// The entries by directory, whether or not their links lead to their blobs. Every write in such a directory is a new
/// name, which changes the directory.
#[derive(Debug, Default)]
pub(super) struct KnownShelves(Mutex<HashMap<PathBuf, (Stamp, Vec<Entry>)>>);

impl KnownShelves {
    /// The entries of a directory with this stamp.
    pub(super) fn get(&self, directory: &Path, stamp: Stamp) -> Option<Vec<Entry>> {
        let known = self.known();
        known.get(directory).filter(|(known, _)| *known == stamp).map(|(_, entries)| entries.clone())
    }

    /// Remembers the entries of a directory. The stamp was taken before they were read.
    pub(super) fn set(&self, directory: &Path, stamp: Stamp, entries: &[Entry]) {
        if stamp.is_older(UNSURE, Timestamp::now()) {
            self.known().insert(directory.to_owned(), (stamp, entries.to_vec()));
        } else {
            self.known().remove(directory);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, (Stamp, Vec<Entry>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
