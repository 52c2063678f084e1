//! An incomplete download. Its length is the offset at which it continues.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::append_file::AppendFile;
use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::file_scan::{AlsoDigests, ByteScan, ScanResult, file_size, same_file};
use super::job_request::{DownloadRequest, JobKey};
use super::name::SafeName;
use super::record;
use super::usage::allocated;
use super::volume::Volume;
use crate::digest::{ContentDigest, Sha256Digest};
use crate::fetch::{SMALL_IMAGE, Validator};
use crate::fs::{Durability, NO_LINK, open_no_link, parent, sync_directory};

/// The bytes per read when the bytes of an earlier run are hashed again.
const BLOCK: usize = 256 * 1024;

/// `partial/<digest>-<hash of namespace and URL>` and its record, open for appending. One job owns it.
///
/// While bytes come, one thread has the file and another the scan. At all other times both have the same bytes.
pub(super) struct Partial {
    pub(super) place: PartialPlace,
    pub(super) file: AppendFile,
    pub(super) scan: ByteScan,
}

/// Where a partial download is, and its record.
pub(super) struct PartialPlace {
    volume: Volume,
    path: PathBuf,
    record: PartialRecord,
    also: AlsoDigests,
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

impl PartialPlace {
    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The path of a job's partial download.
pub(super) fn partial_path(volume: &Volume, key: &JobKey) -> PathBuf {
    let origin = format!("{}\n{}", key.namespace, key.url.url());
    let origin = HEXLOWER.encode(&Sha256::digest(origin.as_bytes()));
    let digest = match &key.digest {
        ContentDigest::Sha512(digest) => digest.to_string(),
        ContentDigest::Sha256(digest) => digest.digits(),
    };
    volume.path("partial").join(format!("{digest}-{}", &origin[..16]))
}

/// The digest in a file name `<digest>-<hash>` in `partial/`. The operator did not make files with other names.
pub(super) fn digest_in(name: &str) -> Option<ContentDigest> {
    let (digest, hash) = name.split_once('-')?;
    if hash.len() != 16 || !hash.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let sha256 = HEXLOWER_PERMISSIVE.decode(digest.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    match sha256 {
        Some(sha256) => Some(Sha256Digest::from_bytes(sha256).into()),
        None => digest.parse().ok().map(ContentDigest::Sha512),
    }
}

impl Partial {
    /// Opens the partial download of an earlier run of a request for `size` bytes, or makes an empty one. The existing bytes
    /// are hashed again, once; `seen` is called with the progress. `None` if it was cancelled first.
    pub(super) fn open(
        volume: &Volume,
        request: &DownloadRequest,
        size: u64,
        cancelled: &CancellationToken,
        seen: impl Fn(u64),
    ) -> Result<Option<Self>, CacheError> {
        let key = request.key();
        let path = partial_path(volume, &key);
        volume.prepare(&path)?;
        let file = AppendFile::new(open(volume, &path, &key.digest)?, &path)?;
        let known = record::read_beside::<PartialRecord>(&record_path(&path))?;
        let validator = known.and_then(|known| known.validator);
        let record = PartialRecord { url: key.url.to_string(), size, validator };
        let also = AlsoDigests { sha1: request.sha1, sha256: request.digest.sha256().is_some() };
        let scan = ByteScan::new(&path, also)?;
        let place = PartialPlace { volume: volume.clone(), path, record, also };
        let mut partial = Self { place, file, scan };
        if partial.hash_again(cancelled, seen)? { Ok(Some(partial)) } else { Ok(None) }
    }

    /// The number of bytes on the volume, which is the offset to continue from.
    pub(super) fn length(&self) -> u64 {
        self.file.length()
    }

    /// The validator of the file that these bytes belong to.
    pub(super) fn validator(&self) -> Option<&Validator> {
        self.place.record.validator.as_ref()
    }

    /// Stores the validator of the file that the next bytes belong to. It is not synced: without it the rest is requested
    /// without a condition, and the digest decides. So a small image needs no record.
    pub(super) fn remember(&mut self, validator: Option<Validator>) -> Result<(), CacheError> {
        let beside = record_path(&self.place.path);
        let is_other = self.place.record.validator != validator;
        self.place.record.validator = validator;
        let is_due = if beside.exists() { is_other } else { self.place.record.size > SMALL_IMAGE };
        if is_due {
            self.place.volume.step("partial: record");
            let as_it_is = (0o644, Durability::Unsynced);
            record::write_as(&self.place.volume, &beside, &self.place.record, as_it_is)?;
        }
        Ok(())
    }

    /// Discards its bytes.
    pub(super) fn start_over(&mut self) -> Result<(), CacheError> {
        self.place.volume.step("partial: start over");
        self.file.truncate(0).map_err(CacheError::io("truncate", &self.place.path))?;
        self.scan = ByteScan::new(&self.place.path, self.place.also)?;
        Ok(())
    }

    /// Checks that the missing bytes fit on the volume, in addition to the space that is kept free.
    pub(super) fn check_room(&self, min_free: Option<u64>) -> Result<(), CacheError> {
        let there = allocated(&self.place.path).max(self.length());
        let (needed, free) = (self.place.record.size.saturating_sub(there), self.place.volume.free(min_free)?);
        if needed <= free.usable() {
            return Ok(());
        }
        Err(CacheError::NoSpace { path: self.place.path.clone(), needed, free })
    }

    /// Reserves space for the missing bytes, if the file system supports it. The length does not change.
    pub(super) fn reserve(&self, min_free: Option<u64>) -> Result<(), CacheError> {
        let missing = self.place.record.size.saturating_sub(self.length());
        if missing == 0 {
            return Ok(());
        }
        let _reserving = self.place.volume.reserving();
        self.check_room(min_free)?;
        self.place.volume.step("partial: reserve");
        match rustix::fs::fallocate(self.file.file(), FallocateFlags::KEEP_SIZE, self.length(), missing) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(Errno::NOSPC | Errno::DQUOT) => {
                // Releases what was reserved before the space ran out.
                self.release()?;
                let free = self.place.volume.free(min_free)?;
                Err(CacheError::NoSpace { path: self.place.path.clone(), needed: missing, free })
            }
            Err(error) => Err(CacheError::io("reserve space for", &self.place.path)(error.into())),
        }
    }

    /// Releases the space that was reserved beyond its length.
    pub(super) fn release(&self) -> Result<(), CacheError> {
        let released = self.file.file().set_len(self.length());
        released.map_err(CacheError::io("release space of", &self.place.path))
    }

    /// Returns the digests and the detected format. Must be called after all bytes were appended.
    pub(super) fn finish(&mut self) -> Result<ScanResult, CacheError> {
        self.scan.finish(self.file.reader()?, &self.place.path)
    }

    /// Adds it to the cache as a blob, and grants the namespace whose request fetched it a right to it.
    pub(super) fn into_blob(
        self,
        namespace: &SafeName,
        seen: &ScanResult,
        now: Timestamp,
    ) -> Result<VerifiedBlob, CacheError> {
        let blob = self.place.volume.add_blob(&self.place.path, seen, now)?;
        if let Some(sha256) = &seen.digests.sha256 {
            self.place.volume.learn(sha256, &blob)?;
        }
        self.place.volume.grant(namespace, &blob, now)?;
        // Not synced: if they come back after a power failure, the garbage collection removes them.
        self.place.volume.step("partial: remove");
        self.place.volume.remove_file(&self.place.path)?;
        self.place.volume.remove_file(&record_path(&self.place.path))?;
        Ok(blob)
    }

    /// Removes it and its record.
    pub(super) fn remove(self) -> Result<(), CacheError> {
        remove_partial(&self.place.volume, &self.place.path)
    }

    /// Hashes the existing bytes. Returns `false` if it was cancelled. If the file is longer than the image, its bytes
    /// are discarded.
    fn hash_again(&mut self, cancelled: &CancellationToken, seen: impl Fn(u64)) -> Result<bool, CacheError> {
        if self.length() > self.place.record.size {
            self.start_over()?;
            return Ok(true);
        }
        let path = &self.place.path;
        let mut buffer = vec![0; BLOCK.min(usize::try_from(self.length()).unwrap_or(BLOCK))];
        while self.scan.size() < self.length() {
            if cancelled.is_cancelled() {
                return Ok(false);
            }
            match self.file.reader()?.read(&mut buffer) {
                // It became shorter while it was read.
                Ok(0) => return Err(CacheError::io("read", path)(ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.scan.take(&buffer[..count], path)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CacheError::io("read", path)(error)),
            }
            seen(self.scan.size());
        }
        Ok(true)
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
fn open(volume: &Volume, path: &Path, digest: &ContentDigest) -> Result<File, CacheError> {
    let failed = CacheError::io("open", path);
    let blob = volume.sha512_of(digest)?.map(|digest| volume.blob_path(&digest));
    // It became the blob, and a power failure gave it its old name back.
    if !path.is_symlink() && blob.is_some_and(|blob| same_file(path, &blob)) {
        volume.step("partial: remove");
        volume.remove_file(path)?;
    }
    if file_size(path)?.is_some() {
        let found = open_no_link(path).map_err(&failed)?;
        // A file with any other hard link was put there by somebody else. Its bytes are not changed.
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
