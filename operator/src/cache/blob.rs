//! Blobs: verified bytes by their sha512, the only place where an image's bytes live.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::CacheError;
use super::look::{Look, Seen};
use super::record;
use super::volume::{Volume, open_no_link};
use super::write::{parent, sync_directory};
use crate::convert::header::{FileBytes, look};
use crate::convert::{Format, Sniffed, sniff};
use crate::imagelist::Sha512Digest;

/// Bytes on the volume that were seen to have their digest. Nothing else can be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBlob {
    digest: Sha512Digest,
    record: BlobRecord,
    path: PathBuf,
}

/// What stands beside a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobRecord {
    size: u64,
    sha1: String,
    #[serde(flatten)]
    sniffed: Sniffed,
    /// The [`sniff::REVISION`] that found it.
    #[serde(default)]
    revision: u8,
    last_verified_time: Timestamp,
}

impl BlobRecord {
    fn of(seen: &Seen, now: Timestamp) -> Self {
        let (sha1, sniffed) = (hex::encode(seen.digests.sha1), seen.sniffed.clone());
        Self { size: seen.size, sha1, sniffed, revision: sniff::REVISION, last_verified_time: now }
    }

    /// The same, with what it is found anew where an older version of this program said it.
    fn judged_anew(mut self, path: &Path) -> Result<Self, CacheError> {
        if self.revision != sniff::REVISION {
            let failed = CacheError::io("look into", path);
            let bytes = FileBytes::new(open_no_link(path).map_err(&failed)?).map_err(&failed)?;
            self.sniffed = look(&bytes).map_err(&failed)?;
        }
        Ok(self)
    }
}

/// What a second look at a blob's bytes found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobCheck {
    /// They have their digest.
    Good(VerifiedBlob),
    /// They do not.
    Bad {
        /// The digest they should have: the file's name.
        expected: Sha512Digest,
        /// The one they have.
        found: Sha512Digest,
        /// Their number.
        size: u64,
    },
}

impl VerifiedBlob {
    /// SHA-512 of the bytes: their name.
    pub fn digest(&self) -> &Sha512Digest {
        &self.digest
    }

    /// Number of bytes.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// SHA-1 of the bytes, 40 hexadecimal digits, for clouds that check it.
    pub fn sha1(&self) -> &str {
        &self.record.sha1
    }

    /// What the bytes are, found by looking into them.
    pub fn format(&self) -> Format {
        self.record.sniffed.format
    }

    /// All that looking into them found.
    pub fn sniffed(&self) -> &Sniffed {
        &self.record.sniffed
    }

    /// Size of the disk inside in bytes, where the format tells it.
    pub fn virtual_size(&self) -> Option<u64> {
        self.record.sniffed.virtual_size
    }

    /// When the bytes were last seen to have their digest.
    pub fn last_verified_time(&self) -> Timestamp {
        self.record.last_verified_time
    }

    /// Where they are, absolute. Read-only for everyone.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Volume {
    /// A blob by its record and its length; the bytes are not read. `None` where there is none, or where the record
    /// is missing, does not fit or cannot be read: then [`Volume::verify_blob`] tells by the bytes.
    pub fn blob(&self, digest: &Sha512Digest) -> Result<Option<VerifiedBlob>, CacheError> {
        let path = self.blob_path(digest);
        let Some(size) = file_size(&path)? else { return Ok(None) };
        let record = record::read_beside::<BlobRecord>(&record_path(&path))?;
        let Some(record) = record.filter(|record| record.size == size) else { return Ok(None) };
        Ok(Some(VerifiedBlob { digest: *digest, record: record.judged_anew(&path)?, path }))
    }

    /// Whether there are bytes under a digest's name, verified or not.
    pub(super) fn holds_bytes(&self, digest: &Sha512Digest) -> Result<bool, CacheError> {
        file_size(&self.blob_path(digest)).map(|size| size.is_some())
    }

    /// Reads a blob's bytes and compares. Changes nothing. `None` where there is none.
    pub fn check_blob(&self, digest: &Sha512Digest, now: Timestamp) -> Result<Option<BlobCheck>, CacheError> {
        let Some(mut look) = Look::begin(&self.blob_path(digest))? else { return Ok(None) };
        while look.go_on()? > 0 {}
        Ok(Some(self.judge(digest, &look.finish()?, now)))
    }

    /// Reads a blob's bytes again. Good ones get a fresh record; bad ones go to `quarantine/`, out of every use.
    pub fn verify_blob(&self, digest: &Sha512Digest, now: Timestamp) -> Result<Option<BlobCheck>, CacheError> {
        self.writable(&self.blob_path(digest))?;
        let Some(mut look) = Look::begin(&self.blob_path(digest))? else { return Ok(None) };
        while look.go_on()? > 0 {}
        self.settle_check(digest, &mut look, now)
    }

    /// The same for bytes that were just read. `None` where another file came into their place meanwhile.
    pub(super) fn settle_check(
        &self,
        digest: &Sha512Digest,
        look: &mut Look,
        now: Timestamp,
    ) -> Result<Option<BlobCheck>, CacheError> {
        let path = self.blob_path(digest);
        self.writable(&path)?;
        let check = self.judge(digest, &look.finish()?, now);
        let _adding = self.adding();
        if !look.is_still_at(&path) {
            return Ok(None);
        }
        match &check {
            BlobCheck::Good(blob) => {
                look.make_read_only().map_err(CacheError::io("set the mode of", &path))?;
                record::write(self, &record_path(&path), &blob.record)?;
            }
            BlobCheck::Bad { .. } => self.quarantine(digest)?,
        }
        Ok(Some(check))
    }

    fn judge(&self, digest: &Sha512Digest, seen: &Seen, now: Timestamp) -> BlobCheck {
        if seen.digests.sha512 == *digest {
            let path = self.blob_path(digest);
            return BlobCheck::Good(VerifiedBlob { digest: *digest, record: BlobRecord::of(seen, now), path });
        }
        BlobCheck::Bad { expected: *digest, found: seen.digests.sha512, size: seen.size }
    }

    /// When each blob was last seen to have its digest; the oldest first. One without a record never was.
    pub fn verified_times(&self) -> Result<Vec<(Timestamp, Sha512Digest)>, CacheError> {
        let mut found = Vec::new();
        for digest in self.blobs()? {
            let verified = self.blob(&digest)?.map_or(Timestamp::MIN, |blob| blob.last_verified_time());
            found.push((verified, digest));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The digests of all blobs, in order. Names that are no digest are passed over.
    pub fn blobs(&self) -> Result<Vec<Sha512Digest>, CacheError> {
        let mut found = Vec::new();
        for prefix in read_directory(&self.path("blobs/sha512"))? {
            if prefix.is_dir() {
                let names = read_directory(&prefix)?;
                found.extend(names.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<Sha512Digest>().ok()));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Brings verified bytes under their digest's name: the record first, then the bytes, so that a blob always has
    /// one. `from` is a complete file on the volume whose digests were computed as it was written; where the blob is
    /// there already, it stays for the caller to remove.
    pub(super) fn add_blob(&self, from: &Path, seen: &Seen, now: Timestamp) -> Result<VerifiedBlob, CacheError> {
        let digest = seen.digests.sha512;
        let path = self.blob_path(&digest);
        self.prepare(&path)?;
        // Before the lock: it takes as long as the disk needs for all bytes.
        self.step("blob: sync");
        let file = open_no_link(from).map_err(CacheError::io("open", from))?;
        file.sync_all().map_err(CacheError::io("sync", from))?;
        let _adding = self.adding();
        if let Some(there) = self.blob(&digest)? {
            return Ok(there);
        }
        let record = BlobRecord::of(seen, now);
        self.step("blob: record");
        record::write(self, &record_path(&path), &record)?;
        self.step("blob: mode");
        let read_only = fs::Permissions::from_mode(0o444);
        file.set_permissions(read_only).map_err(CacheError::io("set the mode of", from))?;
        self.step("blob: rename");
        fs::rename(from, &path).map_err(CacheError::io("rename", from))?;
        self.step("blob: sync directory");
        sync_directory(parent(&path))?;
        Ok(VerifiedBlob { digest, record, path })
    }

    /// Out of every use: first the record, so that it is no blob any more wherever this is cut off, then the links that
    /// people and clouds see, then the bytes. What someone else linked stays.
    fn quarantine(&self, digest: &Sha512Digest) -> Result<(), CacheError> {
        let path = self.blob_path(digest);
        let directory = self.path("quarantine");
        let aside = unused(|n| directory.join(format!("{digest}-{n}")));
        self.prepare(&aside)?;
        self.step("quarantine: record");
        self.remove_file(&record_path(&path))?;
        sync_directory(parent(&path))?;
        for link in self.links_to(digest)? {
            self.step("quarantine: link");
            self.remove_file(&link)?;
            sync_directory(parent(&link))?;
        }
        self.step("quarantine: rename");
        fs::rename(&path, &aside).map_err(CacheError::io("rename", &path))?;
        sync_directory(parent(&path))
    }
}

/// The first of the paths made from 1, 2, 3, … that nothing has yet.
pub(super) fn unused(path: impl Fn(u64) -> PathBuf) -> PathBuf {
    let mut n = 1;
    while fs::symlink_metadata(path(n)).is_ok() {
        n += 1;
    }
    path(n)
}

/// The length of a regular file; `None` where there is none.
pub(super) fn file_size(path: &Path) -> Result<Option<u64>, CacheError> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => Ok(Some(about.len())),
        Ok(_) => Err(CacheError::Foreign { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CacheError::io("look at", path)(error)),
    }
}

/// `<digest>.json` beside the blob.
pub(super) fn record_path(blob: &Path) -> PathBuf {
    blob.with_extension("json")
}

/// The paths in a directory below one of the volume's own, in order; none where there is no directory, or a link to one:
/// that leads out of the volume.
pub(super) fn read_directory(directory: &Path) -> Result<Vec<PathBuf>, CacheError> {
    if directory.is_symlink() { Ok(Vec::new()) } else { read_own_directory(directory) }
}

/// The same for the volume's own directories, which may be links to other disks.
pub(super) fn read_own_directory(directory: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(CacheError::io("read", directory)(error)),
    };
    let paths: Result<Vec<PathBuf>, std::io::Error> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(CacheError::io("read", directory))?;
    paths.sort();
    Ok(paths)
}
