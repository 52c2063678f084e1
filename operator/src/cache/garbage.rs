//! Garbage collection: what nothing refers to any more is selected, and then removed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::blob::record_path;
use super::entry::Shelf;
use super::error::CacheError;
use super::name::StatePath;
use super::partial;
use super::volume::Volume;
use crate::fs::{parent, read_own_directory, sync_directory};
use crate::imagelist::{ContentDigest, Sha512Digest};

/// A record without a link that is this old was left by an interrupted run.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_hours(1);

/// How often garbage is collected on a volume that does not change.
const COLLECT_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// `state/collected.json`: the last collection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastCollection {
    time: Timestamp,
}

/// What a collection keeps, in addition to everything that an entry refers to.
#[derive(Debug, Clone)]
pub struct Keep {
    /// Blobs that are wanted although no entry refers to them yet, and their partial downloads.
    pub digests: BTreeSet<ContentDigest>,
    /// Blobs that changed within this time are kept: they may be just fetched and not yet published.
    pub blobs_for: SignedDuration,
    /// Partial downloads that grew within this time are kept.
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

/// The result of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The removed blobs.
    pub blobs: Vec<Sha512Digest>,
    /// The removed partial downloads, by file name.
    pub partials: Vec<String>,
    /// The bytes that both used on the disk.
    pub bytes: u64,
}

/// A blob or a partial download that could be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate<D> {
    path: PathBuf,
    digest: D,
    /// The number of hard links; a blob without entries has one.
    links: u64,
    /// When its inode or its bytes last changed.
    changed: Timestamp,
    /// The bytes on the disk.
    bytes: u64,
}

type BlobCandidate = Candidate<Sha512Digest>;
type PartialCandidate = Candidate<ContentDigest>;

/// Whether a blob can be removed: it has no other hard link, nobody wants it, and it is not new. Pure.
fn is_unneeded(blob: &BlobCandidate, used: &BTreeSet<Sha512Digest>, keep: &Keep, now: Timestamp) -> bool {
    let is_new = now.duration_since(blob.changed) <= keep.blobs_for;
    !(blob.links > 1 || used.contains(&blob.digest) || is_new)
}

/// Whether a partial download can be removed: nobody wants it, and it has not grown for a long time. Pure.
fn is_stale(partial: &PartialCandidate, keep: &Keep, now: Timestamp) -> bool {
    !keep.digests.contains(&partial.digest) && now.duration_since(partial.changed) > keep.partials_for
}

impl Collected {
    fn of(blobs: &[BlobCandidate], partials: &[PartialCandidate]) -> Self {
        let name =
            |partial: &PartialCandidate| partial.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            blobs: blobs.iter().map(|blob| blob.digest).collect(),
            partials: partials.iter().map(name).collect(),
            bytes: blobs.iter().map(|one| one.bytes).chain(partials.iter().map(|one| one.bytes)).sum(),
        }
    }
}

impl Volume {
    /// Removes blobs that nothing refers to, old partial downloads, and records left by interrupted runs. Files that
    /// the operator did not make are kept, and so is a blob with another hard link, no matter who made it.
    pub fn collect_garbage(&self, keep: &Keep, now: Timestamp) -> Result<Collected, CacheError> {
        self.writable(self.root())?;
        let _alone = self.adding.none();
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

    /// As [`Self::collect_garbage`], unless this process has not changed the volume since the last collection, and that was
    /// less than an hour ago: what nothing refers to goes an hour later anyway.
    pub fn collect_when_due(&self, keep: &Keep, now: Timestamp) -> Result<Collected, CacheError> {
        let record = StatePath::new(["collected"])?;
        // If it cannot be read, or if the clock was set back, the collection is due.
        let last = self.read_state::<LastCollection>(&record).ok().flatten();
        let since = last.map(|last| now.duration_since(last.time));
        let is_recent = since.is_some_and(|since| !since.is_negative() && since < COLLECT_EVERY);
        if is_recent && !self.is_changed() {
            return Ok(Collected::default());
        }
        let collected = self.collect_garbage(keep, now)?;
        self.write_state(&record, &LastCollection { time: now })?;
        self.forget_changes();
        Ok(collected)
    }

    /// The blobs and partial downloads that a collection would remove. Changes nothing.
    pub fn find_garbage(&self, keep: &Keep, now: Timestamp) -> Result<Collected, CacheError> {
        let (blobs, partials) = self.garbage(keep, now)?;
        Ok(Collected::of(&blobs, &partials))
    }

    fn garbage(&self, keep: &Keep, now: Timestamp) -> Result<(Vec<BlobCandidate>, Vec<PartialCandidate>), CacheError> {
        let mut blobs = self.unlinked(keep, now)?;
        if !blobs.is_empty() {
            let used = self.used(keep, now)?;
            blobs.retain(|blob| is_unneeded(blob, &used, keep, now));
            blobs = self.without_kept(blobs, now)?;
        }
        let mut partials = self.partials()?;
        partials.retain(|partial| is_stale(partial, keep, now));
        Ok((blobs, partials))
    }

    /// The same without those that were adopted and wait for a list that wants them.
    fn without_kept(&self, blobs: Vec<BlobCandidate>, now: Timestamp) -> Result<Vec<BlobCandidate>, CacheError> {
        let mut found = Vec::new();
        for blob in blobs {
            if !self.is_kept_by_right(&blob.digest, now)? {
                found.push(blob);
            }
        }
        Ok(found)
    }

    /// The blobs that go, unless the record of an entry refers to them. Most blobs have a hard link. Only for the others it
    /// matters what the records of all entries say.
    fn unlinked(&self, keep: &Keep, now: Timestamp) -> Result<Vec<BlobCandidate>, CacheError> {
        let mut blobs = self.candidates(&self.blobs()?)?;
        blobs.retain(|blob| is_unneeded(blob, &BTreeSet::new(), keep, now));
        Ok(blobs)
    }

    /// The digests that entries refer to, and those of converted images in use.
    fn used(&self, keep: &Keep, now: Timestamp) -> Result<BTreeSet<Sha512Digest>, CacheError> {
        let mut used = self.digests_on(Shelf::Endorsed)?;
        for digest in &keep.digests {
            used.extend(self.sha512_of(digest)?);
        }
        // Converted forms of archived images are not kept. They are made again if the image is published again, and
        // most clouds still have them.
        used.extend(self.converted_in_use(&used, now)?);
        used.extend(self.digests_on(Shelf::Expired)?);
        Ok(used)
    }

    fn candidates(&self, digests: &[Sha512Digest]) -> Result<Vec<BlobCandidate>, CacheError> {
        let found: Result<Vec<_>, _> =
            digests.iter().map(|digest| candidate(self.blob_path(digest), *digest)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn partials(&self) -> Result<Vec<PartialCandidate>, CacheError> {
        let mut found = Vec::new();
        for path in read_own_directory(&self.path("partial"))? {
            if let Some(digest) = path.file_name().and_then(|name| partial::digest_in(name.to_str()?)) {
                found.extend(candidate(path, digest)?);
            }
        }
        Ok(found)
    }

    /// Removes records of partial downloads whose file no longer exists, because it became a blob and the run was then
    /// interrupted.
    fn remove_partial_records(&self, keep: &Keep) -> Result<(), CacheError> {
        for record in read_own_directory(&self.path("partial"))? {
            let name = record.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
            let Some(digest) = name.and_then(partial::digest_in) else { continue };
            if !keep.digests.contains(&digest) && !record.with_extension("").exists() {
                self.step("collect: record of a partial download");
                self.remove_file(&record)?;
            }
        }
        Ok(())
    }

    /// Removes records of entries whose link was removed before the run was interrupted.
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

fn candidate<D>(path: PathBuf, digest: D) -> Result<Option<Candidate<D>>, CacheError> {
    let about = match fs::symlink_metadata(&path) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CacheError::io("look at", &path)(error)),
    };
    let bytes = about.blocks().saturating_mul(512);
    Ok(Some(Candidate { path, digest, links: about.nlink(), changed: changed(&about), bytes }))
}

/// The later of `ctime` and `mtime`. An impossible time counts as the latest possible, so that nothing is removed.
fn changed(about: &fs::Metadata) -> Timestamp {
    let seconds = about.ctime().max(about.mtime());
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate<D: From<Sha512Digest>>(byte: u8, links: u64, hours_old: i64) -> Candidate<D> {
        let changed = Timestamp::UNIX_EPOCH - SignedDuration::from_hours(hours_old);
        let digest = D::from(Sha512Digest::from_bytes([byte; 64]));
        Candidate { path: PathBuf::from(byte.to_string()), digest, links, changed, bytes: 1 }
    }

    #[test]
    fn only_what_is_old_unnamed_unused_and_unwanted_goes() {
        let blobs =
            [candidate(1, 1, 2), candidate(2, 2, 2), candidate(3, 1, 0), candidate(4, 1, 2), candidate(5, 1, 2)];
        let used = BTreeSet::from([blobs[3].digest, blobs[4].digest]);
        let wanted = ContentDigest::from(blobs[4].digest);
        let keep = Keep { digests: BTreeSet::from([wanted]), ..Keep::default() };
        let goes = |blob: &BlobCandidate| is_unneeded(blob, &used, &keep, Timestamp::UNIX_EPOCH);
        assert_eq!(blobs.each_ref().map(goes), [true, false, false, false, false]);
        let partials = [candidate(1, 1, 200), candidate(2, 1, 100), candidate(5, 1, 200)];
        let goes = |partial: &PartialCandidate| is_stale(partial, &keep, Timestamp::UNIX_EPOCH);
        assert_eq!(partials.each_ref().map(goes), [true, false, false]);
    }
}
