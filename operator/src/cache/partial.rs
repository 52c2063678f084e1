//! An incomplete download. Its length is the offset at which it continues.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::file_scan::{ByteScan, ScanResult, file_size};
use super::job_request::JobKey;
use super::name::SafeName;
use super::record;
use super::usage::allocated;
use super::volume::Volume;
use crate::fetch::Validator;
use crate::fs::{NO_LINK, open_no_link, parent, sync_directory};

/// The bytes per read when the bytes of an earlier run are hashed again.
const BLOCK: usize = 256 * 1024;

/// `partial/<digest>-<hash of namespace and URL>` and its record, open for appending. One job owns it.
pub(super) struct Partial {
    volume: Volume,
    path: PathBuf,
    file: File,
    scan: ByteScan,
    record: PartialRecord,
}

/// The record of a partial download, stored next to it. The URL is stored without its query, as everywhere.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialRecord {
    pub(super) url: String,
    pub(super) size: u64,
    pub(super) validator: Option<Validator>,
}

/// The path of a job's partial download.
pub(super) fn partial_path(volume: &Volume, key: &JobKey) -> PathBuf {
    let origin = format!("{}\n{}", key.namespace, key.url.url());
    let origin = hex::encode(Sha256::digest(origin.as_bytes()));
    volume.path("partial").join(format!("{}-{}", key.digest, &origin[..16]))
}

impl Partial {
    /// Opens the partial download of an earlier run, or makes an empty one. The existing bytes are hashed again, once;
    /// `seen` is called with the progress. `None` if it was cancelled first.
    pub(super) fn open(
        volume: &Volume,
        key: &JobKey,
        size: u64,
        cancelled: &CancellationToken,
        seen: impl Fn(u64),
    ) -> Result<Option<Self>, CacheError> {
        let path = partial_path(volume, key);
        volume.prepare(&path)?;
        let file = open(volume, &path)?;
        let known = record::read_beside::<PartialRecord>(&record_path(&path))?;
        let validator = known.and_then(|known| known.validator);
        let record = PartialRecord { url: key.url.to_string(), size, validator };
        let scan = ByteScan::new(&path)?;
        let mut partial = Self { volume: volume.clone(), path, file, scan, record };
        if partial.hash_again(cancelled, seen)? { Ok(Some(partial)) } else { Ok(None) }
    }

    /// The number of bytes on the volume, which is the offset to continue from.
    pub(super) fn length(&self) -> u64 {
        self.scan.size()
    }

    /// The validator of the file that these bytes belong to.
    pub(super) fn validator(&self) -> Option<&Validator> {
        self.record.validator.as_ref()
    }

    /// Stores the validator of the file that the next bytes belong to.
    pub(super) fn remember(&mut self, validator: Option<Validator>) -> Result<(), CacheError> {
        let beside = record_path(&self.path);
        if self.record.validator != validator || !beside.exists() {
            self.record.validator = validator;
            self.volume.step("partial: record");
            record::write(&self.volume, &beside, &self.record)?;
        }
        Ok(())
    }

    /// Discards its bytes.
    pub(super) fn start_over(&mut self) -> Result<(), CacheError> {
        self.volume.step("partial: start over");
        self.file.set_len(0).map_err(CacheError::io("truncate", &self.path))?;
        self.scan = ByteScan::new(&self.path)?;
        Ok(())
    }

    /// Checks that the missing bytes fit on the volume, in addition to the space that is kept free.
    pub(super) fn check_room(&self, min_free: Option<u64>) -> Result<(), CacheError> {
        let there = allocated(&self.path).max(self.length());
        let (needed, free) = (self.record.size.saturating_sub(there), self.volume.free(min_free)?);
        if needed <= free.usable() {
            return Ok(());
        }
        Err(CacheError::NoSpace { path: self.path.clone(), needed, free })
    }

    /// Reserves space for the missing bytes, if the file system supports it. The length does not change.
    pub(super) fn reserve(&self, min_free: Option<u64>) -> Result<(), CacheError> {
        let missing = self.record.size.saturating_sub(self.length());
        if missing == 0 {
            return Ok(());
        }
        let _reserving = self.volume.reserving();
        self.check_room(min_free)?;
        self.volume.step("partial: reserve");
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length(), missing) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(Errno::NOSPC | Errno::DQUOT) => {
                // Releases what was reserved before the space ran out.
                self.release()?;
                let free = self.volume.free(min_free)?;
                Err(CacheError::NoSpace { path: self.path.clone(), needed: missing, free })
            }
            Err(error) => Err(CacheError::io("reserve space for", &self.path)(error.into())),
        }
    }

    /// Releases the space that was reserved beyond its length.
    pub(super) fn release(&self) -> Result<(), CacheError> {
        self.file.set_len(self.length()).map_err(CacheError::io("release space of", &self.path))
    }

    /// Appends bytes: first to the file, so that they are not lost, then to the digests.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.volume.step("partial: write");
        self.file.write_all(bytes).map_err(CacheError::io("write", &self.path))?;
        self.scan.take(bytes, &self.path)
    }

    /// Returns the digests and the detected format. Must be called after all bytes were appended.
    pub(super) fn finish(&mut self) -> Result<ScanResult, CacheError> {
        self.scan.finish(&mut self.file, &self.path)
    }

    /// Adds it to the cache as a blob, and grants the namespace whose request fetched it a right to it.
    pub(super) fn into_blob(
        self,
        namespace: &SafeName,
        seen: &ScanResult,
        now: Timestamp,
    ) -> Result<VerifiedBlob, CacheError> {
        let blob = self.volume.add_blob(&self.path, seen, now)?;
        self.volume.grant(namespace, &blob, now)?;
        remove_partial(&self.volume, &self.path)?;
        Ok(blob)
    }

    /// Removes it and its record.
    pub(super) fn remove(self) -> Result<(), CacheError> {
        remove_partial(&self.volume, &self.path)
    }

    /// Hashes the existing bytes. Returns `false` if it was cancelled. If the file is longer than the image, its bytes
    /// are discarded.
    fn hash_again(&mut self, cancelled: &CancellationToken, seen: impl Fn(u64)) -> Result<bool, CacheError> {
        let about = self.file.metadata().map_err(CacheError::io("look at", &self.path))?;
        if about.len() > self.record.size {
            self.start_over()?;
            return Ok(true);
        }
        let mut buffer = vec![0; BLOCK];
        loop {
            if cancelled.is_cancelled() {
                return Ok(false);
            }
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => self.scan.take(&buffer[..count], &self.path)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CacheError::io("read", &self.path)(error)),
            }
            seen(self.length());
        }
    }
}

/// `<name>.json` next to a partial download.
pub(super) fn record_path(partial: &Path) -> PathBuf {
    partial.with_extension("json")
}

/// Removes a partial download, then its record.
pub(super) fn remove_partial(volume: &Volume, path: &Path) -> Result<(), CacheError> {
    volume.step("partial: remove");
    volume.remove_file(path)?;
    volume.remove_file(&record_path(path))?;
    Ok(sync_directory(parent(path))?)
}

/// Opens a partial download for appending, or makes an empty one.
fn open(volume: &Volume, path: &Path) -> Result<File, CacheError> {
    let failed = CacheError::io("open", path);
    if file_size(path)?.is_some() {
        let found = open_no_link(path).map_err(&failed)?;
        // A file with another hard link was put there by somebody else. Its bytes are not changed.
        if found.metadata().map_err(&failed)?.nlink() > 1 {
            return Err(CacheError::Foreign { path: path.to_owned() });
        }
        // The file is read-only if a run ended between changing its mode and renaming it.
        let writable = fs::Permissions::from_mode(0o644);
        found.set_permissions(writable).map_err(CacheError::io("set the mode of", path))?;
    }
    volume.step("partial: open");
    File::options().read(true).append(true).create(true).custom_flags(NO_LINK).open(path).map_err(failed)
}
