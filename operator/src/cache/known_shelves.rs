//! The directories of entries that were read. One that has not changed since is not read again.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::error::CacheError;
use super::version::Entry;

/// A directory that changed within this time is read again: a file system may give two changes the same time.
const UNSURE: SignedDuration = SignedDuration::from_secs(2);

/// The entries by directory, whether or not their links lead to their blobs.
#[derive(Debug, Default)]
pub(super) struct KnownShelves(Mutex<HashMap<PathBuf, (Stamp, Vec<Entry>)>>);

/// What shows that names in a directory were added or removed: every write is a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a directory. `None` if there is no directory, or a symbolic link, which could lead out of the volume.
    pub(super) fn of(directory: &Path) -> Result<Option<Self>, CacheError> {
        match fs::symlink_metadata(directory) {
            Ok(about) if about.is_dir() => {
                let changed = (about.ctime(), about.ctime_nsec());
                Ok(Some(Self { device: about.dev(), inode: about.ino(), changed }))
            }
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(CacheError::io("read", directory)(error)),
        }
    }

    /// Whether the directory has not changed for so long that its next change has another time.
    fn is_sure(self) -> bool {
        let changed = Timestamp::new(self.changed.0, i32::try_from(self.changed.1).unwrap_or(0));
        changed.is_ok_and(|changed| Timestamp::now().duration_since(changed) > UNSURE)
    }
}

impl KnownShelves {
    /// The entries of a directory with this stamp.
    pub(super) fn get(&self, directory: &Path, stamp: Stamp) -> Option<Vec<Entry>> {
        let known = self.known();
        known.get(directory).filter(|(known, _)| *known == stamp).map(|(_, entries)| entries.clone())
    }

    /// Remembers the entries of a directory. The stamp was taken before they were read.
    pub(super) fn set(&self, directory: &Path, stamp: Stamp, entries: &[Entry]) {
        if stamp.is_sure() {
            self.known().insert(directory.to_owned(), (stamp, entries.to_vec()));
        } else {
            self.known().remove(directory);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, (Stamp, Vec<Entry>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
