//! What nothing refers to any more: selected purely, then removed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::blob::{read_own_directory, record_path};
use super::entry::Shelf;
use super::error::CacheError;
use super::partial;
use super::volume::Volume;
use super::write::{parent, sync_directory};
use crate::imagelist::Sha512Digest;

/// A record without a link that is this old is one of a run that was cut off.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_hours(1);

/// What a collection leaves alone, beside everything that an entry refers to.
#[derive(Debug, Clone)]
pub struct Keep {
    /// Blobs that are wanted though no entry refers to them (yet), and partial downloads of them.
    pub digests: BTreeSet<Sha512Digest>,
    /// Blobs that changed within this time: just fetched, not yet published.
    pub blobs_for: SignedDuration,
    /// Partial downloads that grew within this time.
    pub partials_for: SignedDuration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            digests: BTreeSet::new(),
            blobs_for: SignedDuration::from_hours(1),
            partials_for: SignedDuration::from_hours(7 * 24),
        }
    }
}

/// What a collection removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Blobs.
    pub blobs: Vec<Sha512Digest>,
    /// Partial downloads, by their file names.
    pub partials: Vec<String>,
    /// Bytes on the disk of both.
    pub bytes: u64,
}

/// A blob or a partial download, as far as its end is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    path: PathBuf,
    digest: Sha512Digest,
    /// Names that the file has; a blob without entries has one.
    links: u64,
    /// When its inode or its bytes changed last.
    changed: Timestamp,
    /// On the disk.
    bytes: u64,
}

/// Whether a blob goes: it has no other name, nobody wants it, and it is not new. Pure.
fn is_unneeded(blob: &Candidate, used: &BTreeSet<Sha512Digest>, keep: &Keep, now: Timestamp) -> bool {
    let is_new = now.duration_since(blob.changed) <= keep.blobs_for;
    !(blob.links > 1 || used.contains(&blob.digest) || keep.digests.contains(&blob.digest) || is_new)
}

/// Whether a partial download goes: nobody wants it, and it has not grown for long. Pure.
fn is_stale(partial: &Candidate, keep: &Keep, now: Timestamp) -> bool {
    !keep.digests.contains(&partial.digest) && now.duration_since(partial.changed) > keep.partials_for
}

impl Collected {
    fn of(blobs: &[Candidate], partials: &[Candidate]) -> Self {
        let name = |partial: &Candidate| partial.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            blobs: blobs.iter().map(|blob| blob.digest).collect(),
            partials: partials.iter().map(name).collect(),
            bytes: blobs.iter().chain(partials).map(|one| one.bytes).sum(),
        }
    }
}

impl Volume {
    /// Removes blobs that nothing refers to, partial downloads that went stale and records that a run left behind. What
    /// the operator did not make stays, and so does a blob that has another name, whoever gave it.
    pub fn collect_garbage(&self, keep: &Keep, now: Timestamp) -> Result<Collected, CacheError> {
        self.writable(self.root())?;
        let _adding = self.adding();
        self.remove_partial_records(keep)?;
        self.remove_orphans(now)?;
        let (blobs, partials) = self.garbage(keep, now)?;
        for blob in &blobs {
            self.step("collect: blob");
            self.remove_file(&blob.path)?;
            self.remove_file(&record_path(&blob.path))?;
            self.end_rights(&blob.digest)?;
            sync_directory(parent(&blob.path))?;
        }
        for partial in &partials {
            partial::remove_partial(self, &partial.path)?;
        }
        self.remove_stale_conversions()?;
        Ok(Collected::of(&blobs, &partials))
    }

    /// What a collection would remove of blobs and partial downloads. Changes nothing.
    pub fn find_garbage(&self, keep: &Keep, now: Timestamp) -> Result<Collected, CacheError> {
        let (blobs, partials) = self.garbage(keep, now)?;
        Ok(Collected::of(&blobs, &partials))
    }

    fn garbage(&self, keep: &Keep, now: Timestamp) -> Result<(Vec<Candidate>, Vec<Candidate>), CacheError> {
        let mut used = self.digests_on(Shelf::Endorsed)?;
        // Other forms of what is archived are made again if it comes back; most clouds have it still.
        let sources = used.union(&keep.digests).copied().collect();
        used.extend(self.converted_in_use(&sources, now)?);
        used.extend(self.digests_on(Shelf::Expired)?);
        let mut blobs = self.candidates(&self.blobs()?)?;
        blobs.retain(|blob| is_unneeded(blob, &used, keep, now));
        let mut partials = self.partials()?;
        partials.retain(|partial| is_stale(partial, keep, now));
        Ok((blobs, partials))
    }

    fn candidates(&self, digests: &[Sha512Digest]) -> Result<Vec<Candidate>, CacheError> {
        let found: Result<Vec<_>, _> =
            digests.iter().map(|digest| candidate(self.blob_path(digest), *digest)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn partials(&self) -> Result<Vec<Candidate>, CacheError> {
        let mut found = Vec::new();
        for path in read_own_directory(&self.path("partial"))? {
            if let Some(digest) = path.file_name().and_then(|name| partial_digest(name.to_str()?)) {
                found.extend(candidate(path, digest)?);
            }
        }
        Ok(found)
    }

    /// Records of partial downloads whose bytes have become a blob: what a run that was cut off in between left.
    fn remove_partial_records(&self, keep: &Keep) -> Result<(), CacheError> {
        for record in read_own_directory(&self.path("partial"))? {
            let name = record.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
            let Some(digest) = name.and_then(partial_digest) else { continue };
            if !keep.digests.contains(&digest) && !record.with_extension("").exists() {
                self.step("collect: record of a partial download");
                self.remove_file(&record)?;
            }
        }
        Ok(())
    }

    /// Records of entries whose link went while a run was cut off.
    fn remove_orphans(&self, now: Timestamp) -> Result<(), CacheError> {
        for record in self.orphaned_records()? {
            let about = fs::symlink_metadata(&record).map_err(CacheError::io("look at", &record))?;
            if now.duration_since(changed(&about)) > LEFT_BEHIND {
                self.step("collect: record");
                self.remove_file(&record)?;
            }
        }
        Ok(())
    }
}

/// The digest of `<digest>-<hash>` in `partial/`; other names are not ours.
fn partial_digest(name: &str) -> Option<Sha512Digest> {
    let (digest, hash) = name.split_once('-')?;
    let ours = hash.len() == 16 && hash.bytes().all(|c| c.is_ascii_hexdigit());
    digest.parse().ok().filter(|_| ours)
}

fn candidate(path: PathBuf, digest: Sha512Digest) -> Result<Option<Candidate>, CacheError> {
    let about = match fs::symlink_metadata(&path) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CacheError::io("look at", &path)(error)),
    };
    let bytes = about.blocks().saturating_mul(512);
    Ok(Some(Candidate { path, digest, links: about.nlink(), changed: changed(&about), bytes }))
}

/// The later of the inode's and the bytes' change. A time that cannot be is taken as now's far end: nothing goes.
fn changed(about: &fs::Metadata) -> Timestamp {
    let seconds = about.ctime().max(about.mtime());
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(byte: u8, links: u64, hours_old: i64) -> Candidate {
        let changed = Timestamp::UNIX_EPOCH - SignedDuration::from_hours(hours_old);
        let digest = Sha512Digest::from_bytes([byte; 64]);
        Candidate { path: PathBuf::from(byte.to_string()), digest, links, changed, bytes: 1 }
    }

    #[test]
    fn only_what_is_old_unnamed_unused_and_unwanted_goes() {
        let blobs =
            [candidate(1, 1, 2), candidate(2, 2, 2), candidate(3, 1, 0), candidate(4, 1, 2), candidate(5, 1, 2)];
        let used = BTreeSet::from([blobs[3].digest]);
        let keep = Keep { digests: BTreeSet::from([blobs[4].digest]), ..Keep::default() };
        let goes = |blob: &Candidate| is_unneeded(blob, &used, &keep, Timestamp::UNIX_EPOCH);
        assert_eq!(blobs.each_ref().map(goes), [true, false, false, false, false]);
        let partials = [candidate(1, 1, 200), candidate(2, 1, 100), candidate(5, 1, 200)];
        let goes = |partial: &Candidate| is_stale(partial, &keep, Timestamp::UNIX_EPOCH);
        assert_eq!(partials.each_ref().map(goes), [true, false, false]);
    }
}
