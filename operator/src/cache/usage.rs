//! The space of a volume: what each kind of content uses, what is free, and how much of that is kept free.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use super::entry::Shelf;
use super::error::CacheError;
use super::space::Free;
use super::volume::Volume;
use crate::fs::read_directory;

/// The default of the space that is kept free: this fraction of the volume (as a divisor), but at most this number of
/// bytes. It is for records, status and other small files that must still be written when images have filled the
/// volume.
const KEPT: (u64, u64) = (20, 64 * 1024 * 1024);

/// One kind of content of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// `endorsed`, `archived`, `converted` and `unused` (blobs, each counted once), `partial`, `lists`, `state`, `scratch`,
    /// `quarantine`, and `others`: records, and what the operator did not make.
    pub what: &'static str,
    /// The number of files.
    pub files: u64,
    /// The bytes on the disk, including reserved ones.
    pub bytes: u64,
}

/// The contents of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// By kind, in the order given at [`Used::what`].
    pub parts: Vec<Used>,
    /// The bytes that can still be written.
    pub available: u64,
}

impl Volume {
    /// The space used by each kind of content. A file with several hard links counts once, as a blob if it is one.
    pub fn usage(&self) -> Result<Usage, CacheError> {
        let (endorsed, archived) = (self.digests_on(Shelf::Endorsed)?, self.digests_on(Shelf::Expired)?);
        let converted = self.converted()?;
        let mut counted = BTreeSet::new();
        let kinds = ["endorsed", "archived", "converted", "unused"];
        let mut blobs = kinds.map(|what| Used { what, files: 0, bytes: 0 });
        for digest in self.blobs()? {
            let kind = match (endorsed.contains(&digest), archived.contains(&digest)) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) if converted.contains(&digest) => 2,
                (false, false) => 3,
            };
            count(&self.blob_path(&digest), &mut blobs[kind], &mut counted);
        }
        let mut parts = Vec::from(blobs);
        for what in ["partial", "lists", "state", "scratch", "quarantine"] {
            let mut used = Used { what, files: 0, bytes: 0 };
            count_below(&self.path(what), &mut used, &mut counted)?;
            parts.push(used);
        }
        let mut others = Used { what: "others", files: 0, bytes: 0 };
        for path in read_directory(self.root())? {
            count_below(&path, &mut others, &mut counted)?;
        }
        parts.push(others);
        Ok(Usage { parts, available: self.available()? })
    }

    /// The bytes that the user of this process can still write.
    pub fn available(&self) -> Result<u64, CacheError> {
        self.free(Some(0)).map(|free| free.bytes)
    }

    /// The free space. `min_free` bytes of it are kept free; the default is a twentieth of the volume, at most 64 MiB.
    pub fn free(&self, min_free: Option<u64>) -> Result<Free, CacheError> {
        Self::free_at(self.root(), min_free)
    }

    /// The same of a volume that is not opened.
    pub(super) fn free_at(root: &Path, min_free: Option<u64>) -> Result<Free, CacheError> {
        let about =
            rustix::fs::statvfs(root).map_err(|error| CacheError::io("ask for the space of", root)(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        let kept = min_free.unwrap_or_else(|| (bytes(about.f_blocks) / KEPT.0).min(KEPT.1));
        Ok(Free { bytes: bytes(about.f_bavail), kept })
    }
}

fn count_below(path: &Path, used: &mut Used, counted: &mut BTreeSet<(u64, u64)>) -> Result<(), CacheError> {
    if path.is_symlink() || !path.is_dir() {
        count(path, used, counted);
        return Ok(());
    }
    for inside in read_directory(path)? {
        count_below(&inside, used, counted)?;
    }
    Ok(())
}

/// The bytes that a file, or everything below a directory, uses on the disk, including reserved ones. 0 if it does not
/// exist.
pub(super) fn allocated(path: &Path) -> u64 {
    let mut used = Used { what: "", files: 0, bytes: 0 };
    // An unreadable directory counts as empty, because it is being removed.
    let _unreadable = count_below(path, &mut used, &mut BTreeSet::new());
    used.bytes
}

/// Counts a file. A file that was removed in the meantime is ignored.
fn count(path: &Path, used: &mut Used, counted: &mut BTreeSet<(u64, u64)>) {
    let Ok(about) = fs::symlink_metadata(path) else { return };
    if counted.insert((about.dev(), about.ino())) {
        used.files += 1;
        used.bytes += about.blocks().saturating_mul(512);
    }
}
