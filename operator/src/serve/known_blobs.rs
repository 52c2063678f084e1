//! The blobs of earlier requests. Their records are read again only if one of their files has changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{BlobStamp, CacheError, ShardFolder, VerifiedBlob, Volume};
use crate::imagelist::Sha512Digest;

/// The most blobs that are known. If there is one more, all are forgotten, and read again when they are asked for.
const MOST: usize = 4096;

/// How long the answer to a request about a blob may be repeated.
const RECENT: Duration = Duration::from_secs(1);

/// A blob of one of several volumes: that of a shard, or the only one.
pub(super) type BlobPlace = (Option<ShardFolder>, Sha512Digest);

/// Blobs by volume and digest.
#[derive(Default)]
pub(super) struct KnownBlobs(Mutex<HashMap<BlobPlace, Known>>);

struct Known {
    blob: VerifiedBlob,
    stamp: BlobStamp,
    /// When the files were last looked at.
    looked: Instant,
}

impl KnownBlobs {
    /// A blob whose files were looked at within the last second. The volume is not touched.
    pub(super) fn recent(&self, place: &BlobPlace) -> Option<VerifiedBlob> {
        self.known().get(place).filter(|known| known.looked.elapsed() < RECENT).map(|known| known.blob.clone())
    }

    /// A blob of an earlier request, if its files have not changed since. Only their attributes are read.
    pub(super) fn get(&self, place: &BlobPlace) -> Option<VerifiedBlob> {
        let path: PathBuf = self.known().get(place)?.blob.path().to_owned();
        // The volume may hang, so the lock is not held meanwhile.
        let stamp = BlobStamp::of(&path)?;
        let mut known = self.known();
        let known = known.get_mut(place).filter(|known| known.stamp == stamp)?;
        known.looked = Instant::now();
        Some(known.blob.clone())
    }

    /// Reads the record of a blob on the volume of that place. `None` if there is no blob.
    pub(super) fn look(&self, volume: &Volume, place: &BlobPlace) -> Result<Option<VerifiedBlob>, CacheError> {
        // The stamp is taken first: if the files change meanwhile, it does not fit.
        let (_, digest) = place;
        let stamp = BlobStamp::of(&volume.path_of(digest));
        let blob = volume.blob(digest)?;
        if let (Some(stamp), Some(blob)) = (stamp, &blob) {
            let mut known = self.known();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(*place, Known { blob: blob.clone(), stamp, looked: Instant::now() });
        }
        Ok(blob)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<BlobPlace, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_blob_is_known_until_one_of_its_files_changes() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::open(folder.path()).unwrap();
        let digest = Sha512Digest::from_bytes(openssl::sha::sha512(b"an image"));
        let path = volume.path_of(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "an image").unwrap();
        volume.verify_blob(&digest, Timestamp::UNIX_EPOCH).unwrap();
        let (known, place) = (KnownBlobs::default(), (None, digest));
        assert_eq!(known.get(&place), None);
        let blob = known.look(&volume, &place).unwrap();
        assert!(blob.is_some() && known.get(&place) == blob && known.recent(&place) == blob);
        assert_eq!(known.recent(&(ShardFolder::new(0), digest)), None, "another volume may not have it");
        volume.verify_blob(&digest, Timestamp::now()).unwrap();
        assert_eq!(known.get(&place), None, "it has another record");
        let again = known.look(&volume, &place).unwrap();
        assert!(again.is_some() && again != blob && known.get(&place) == again);
        fs::remove_file(path.with_extension("json")).unwrap();
        assert_eq!(known.get(&place), None);
        assert_eq!(known.look(&volume, &place).unwrap(), None);
    }
}
