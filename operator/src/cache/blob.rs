//! Blobs: verified bytes, named by their SHA-512. The bytes of an image are stored only here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::CacheError;
use super::file_scan::{FileScan, ScanResult, file_size};
use super::record;
use super::volume::Volume;
use crate::convert::header::{FileBytes, look};
use crate::convert::{Format, Sniffed, sniff};
use crate::fs::{Durability, Stamp, open_no_link, parent, read_directory, sync_directory};
use crate::imagelist::Sha512Digest;

/// Bytes on the volume whose digest was verified. Nothing else can be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBlob {
    digest: Sha512Digest,
    record: BlobRecord,
    path: PathBuf,
}

/// The record of a blob, stored next to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobRecord {
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha1: Option<String>,
    #[serde(flatten)]
    sniffed: Sniffed,
    /// The [`sniff::REVISION`] that detected the format.
    #[serde(default)]
    revision: u8,
    last_verified_time: Timestamp,
}

impl BlobRecord {
    fn of(seen: &ScanResult, now: Timestamp) -> Self {
        let (sha1, sniffed) = (seen.digests.sha1.map(|digest| HEXLOWER.encode(&digest)), seen.sniffed.clone());
        Self { size: seen.size, sha1, sniffed, revision: sniff::REVISION, last_verified_time: now }
    }

    /// The same record, with the format detected again if an older version of this program detected it.
    fn judged_anew(mut self, path: &Path) -> Result<Self, CacheError> {
        if self.revision != sniff::REVISION {
            let failed = CacheError::io("look into", path);
            let bytes = FileBytes::new(open_no_link(path).map_err(&failed)?).map_err(&failed)?;
            self.sniffed = look(&bytes).map_err(&failed)?;
        }
        Ok(self)
    }
}

/// What shows that the file of a blob or its record was changed or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobStamp([Stamp; 2]);

/// The result of verifying a blob's bytes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobCheck {
    /// The bytes have the expected digest.
    Good(VerifiedBlob),
    /// The bytes have another digest.
    Bad {
        /// The expected digest, which is the file's name.
        expected: Sha512Digest,
        /// The digest of the bytes.
        found: Sha512Digest,
        /// The number of bytes.
        size: u64,
    },
}

impl VerifiedBlob {
    /// Bytes of a raw disk that no file has, for unit tests.
    #[cfg(test)]
    pub(crate) fn for_tests(digest: Sha512Digest, now: Timestamp) -> Self {
        let sniffed = Sniffed { format: Format::Raw, virtual_size: Some(1000), outside: None };
        let record = BlobRecord {
            size: 1000,
            sha1: Some("0".repeat(40)),
            sniffed,
            revision: sniff::REVISION,
            last_verified_time: now,
        };
        Self { digest, record, path: PathBuf::from("/volume/blob") }
    }

    /// SHA-512 of the bytes, which is the name of the blob.
    pub fn digest(&self) -> &Sha512Digest {
        &self.digest
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// SHA-1 of the bytes, 40 hexadecimal digits, for clouds that check it. `None` if no such cloud was named when the
    /// image came; [`Volume::with_sha1`] computes it.
    pub fn sha1(&self) -> Option<&str> {
        self.record.sha1.as_deref()
    }

    /// The format that was detected in the bytes.
    pub fn format(&self) -> Format {
        self.record.sniffed.format
    }

    /// Everything that was detected in the bytes.
    pub fn sniffed(&self) -> &Sniffed {
        &self.record.sniffed
    }

    /// The size of the disk inside in bytes, if the format contains it.
    pub fn virtual_size(&self) -> Option<u64> {
        self.record.sniffed.virtual_size
    }

    /// When the digest of the bytes was last verified.
    pub fn last_verified_time(&self) -> Timestamp {
        self.record.last_verified_time
    }

    /// The absolute path of the file. Its mode is read-only for everyone.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl BlobStamp {
    /// The stamp of a blob by its path; `None` if one of the two files is missing.
    pub fn of(path: &Path) -> Option<Self> {
        let stamp = |path: &Path| Stamp::at(path).ok().flatten();
        Some(Self([stamp(path)?, stamp(&record_path(path))?]))
    }
}

impl Volume {
    /// A blob, checked by its record and its length only; the bytes are not read. `None` if there is no blob, or if the
    /// record is missing, unreadable, or has another length. In these cases [`Volume::verify_blob`] reads the bytes.
    pub fn blob(&self, digest: &Sha512Digest) -> Result<Option<VerifiedBlob>, CacheError> {
        let path = self.blob_path(digest);
        let Some(size) = file_size(&path)? else { return Ok(None) };
        let record = record::read_beside::<BlobRecord>(&record_path(&path))?;
        let Some(record) = record.filter(|record| record.size == size) else { return Ok(None) };
        Ok(Some(VerifiedBlob { digest: *digest, record: record.judged_anew(&path)?, path }))
    }

    /// The path of the blob with a digest, whether or not there is one.
    pub fn path_of(&self, digest: &Sha512Digest) -> PathBuf {
        self.blob_path(digest)
    }

    /// Whether there is a file for a digest, verified or not.
    pub(super) fn holds_bytes(&self, digest: &Sha512Digest) -> Result<bool, CacheError> {
        file_size(&self.blob_path(digest)).map(|size| size.is_some())
    }

    /// Reads a blob's bytes and compares their digest. Changes nothing. `None` if there is no blob.
    pub fn check_blob(&self, digest: &Sha512Digest, now: Timestamp) -> Result<Option<BlobCheck>, CacheError> {
        let Some(mut look) = FileScan::begin(&self.blob_path(digest))? else { return Ok(None) };
        while look.next_chunk()? > 0 {}
        Ok(Some(self.judge(digest, &look.finish()?, now)))
    }

    /// Verifies a blob's bytes again. If they are good, the record is renewed. If they are bad, the blob is moved to
    /// `quarantine/` and is no longer used. `None` if there is no blob.
    pub fn verify_blob(&self, digest: &Sha512Digest, now: Timestamp) -> Result<Option<BlobCheck>, CacheError> {
        self.writable(&self.blob_path(digest))?;
        let Some(mut look) = FileScan::begin(&self.blob_path(digest))? else { return Ok(None) };
        while look.next_chunk()? > 0 {}
        self.settle_check(digest, &mut look, now)
    }

    /// The blob with its SHA-1. If it is not known, the bytes are verified again and it is recorded. `None` if the bytes are
    /// gone or bad.
    pub fn with_sha1(&self, blob: &VerifiedBlob, now: Timestamp) -> Result<Option<VerifiedBlob>, CacheError> {
        if let Some(known) = self.blob(&blob.digest)?.filter(|known| known.sha1().is_some()) {
            return Ok(Some(known));
        }
        Ok(match self.verify_blob(&blob.digest, now)? {
            Some(BlobCheck::Good(blob)) => Some(blob),
            Some(BlobCheck::Bad { .. }) | None => None,
        })
    }

    /// Settles the verification of bytes that were just read. `None` if the file has been replaced since.
    pub(super) fn settle_check(
        &self,
        digest: &Sha512Digest,
        look: &mut FileScan,
        now: Timestamp,
    ) -> Result<Option<BlobCheck>, CacheError> {
        let path = self.blob_path(digest);
        self.writable(&path)?;
        let check = self.judge(digest, &look.finish()?, now);
        let _adding = self.adding.one(digest);
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

    fn judge(&self, digest: &Sha512Digest, seen: &ScanResult, now: Timestamp) -> BlobCheck {
        if seen.digests.sha512 == *digest {
            let path = self.blob_path(digest);
            return BlobCheck::Good(VerifiedBlob { digest: *digest, record: BlobRecord::of(seen, now), path });
        }
        BlobCheck::Bad { expected: *digest, found: seen.digests.sha512, size: seen.size }
    }

    /// When each blob was last verified, the oldest first. A blob without a record has the earliest possible time.
    pub fn verified_times(&self) -> Result<Vec<(Timestamp, Sha512Digest)>, CacheError> {
        let mut found = Vec::new();
        for digest in self.blobs()? {
            let verified = self.blob(&digest)?.map_or(Timestamp::MIN, |blob| blob.last_verified_time());
            found.push((verified, digest));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The digests of all blobs, sorted. Files whose name is not a digest are ignored.
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

    /// Adds verified bytes as a blob. The record is written before the file is renamed, so that a blob always has a
    /// record. `from` is a complete file on the volume whose digests were computed while it was written. If the blob
    /// already exists, `from` stays, and the caller removes it.
    pub(super) fn add_blob(&self, from: &Path, seen: &ScanResult, now: Timestamp) -> Result<VerifiedBlob, CacheError> {
        let digest = seen.digests.sha512;
        let path = self.blob_path(&digest);
        self.prepare(&path)?;
        let file = open_no_link(from).map_err(CacheError::io("open", from))?;
        self.step("blob: mode");
        let read_only = fs::Permissions::from_mode(0o444);
        file.set_permissions(read_only).map_err(CacheError::io("set the mode of", from))?;
        // The bytes and the mode. This is done before the lock is taken, because it takes as long as the disk needs.
        self.step("blob: sync");
        file.sync_all().map_err(CacheError::io("sync", from))?;
        let _adding = self.adding.one(&digest);
        let record = BlobRecord::of(seen, now);
        if let Some(mut there) = self.blob(&digest)? {
            if there.record.sha1.is_none() && record.sha1.is_some() {
                there.record.sha1 = record.sha1;
                record::write(self, &record_path(&path), &there.record)?;
            }
            return Ok(there);
        }
        self.step("blob: record");
        // The directory is synced once, after the file has its name too. A file without its record is not a blob.
        record::write_as(self, &record_path(&path), &record, (0o644, Durability::Whole))?;
        self.step("blob: rename");
        fs::rename(from, &path).map_err(CacheError::io("rename", from))?;
        self.step("blob: sync directory");
        sync_directory(parent(&path))?;
        Ok(VerifiedBlob { digest, record, path })
    }

    /// Takes a blob out of use. The record is removed first, so that it is no longer a blob even if the program stops
    /// afterwards; then the links of its entries; then the file is moved. Links that the operator did not make stay.
    fn quarantine(&self, digest: &Sha512Digest) -> Result<(), CacheError> {
        let path = self.blob_path(digest);
        let directory = self.path("quarantine");
        let aside = record::unused(|n| directory.join(format!("{digest}-{n}")));
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
        Ok(sync_directory(parent(&path))?)
    }
}

/// `<digest>.json` next to the blob.
pub(super) fn record_path(blob: &Path) -> PathBuf {
    blob.with_extension("json")
}
