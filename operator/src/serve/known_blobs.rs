//! The blobs of earlier requests. Their records are read again only if one of their files has changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{BlobStamp, CacheError, VerifiedBlob, Volume};
use crate::imagelist::Sha512Digest;

/// The most blobs that are known. If there is one more, all are forgotten, and read again when they are asked for.
const MOST: usize = 4096;

/// How long the answer to a request about a blob may be repeated.
const RECENT: Duration = Duration::from_secs(1);

/// Blobs by digest.
#[derive(Default)]
pub(super) struct KnownBlobs(Mutex<HashMap<Sha512Digest, Known>>);

struct Known {
    blob: VerifiedBlob,
    stamp: BlobStamp,
    /// When the files were last looked at.
    looked: Instant,
}

impl KnownBlobs {
    /// A blob whose files were looked at within the last second. The volume is not touched.
    pub(super) fn recent(&self, digest: &Sha512Digest) -> Option<VerifiedBlob> {
        self.known().get(digest).filter(|known| known.looked.elapsed() < RECENT).map(|known| known.blob.clone())
    }

    /// A blob of an earlier request, if its files have not changed since. Only their attributes are read.
    pub(super) fn get(&self, digest: &Sha512Digest) -> Option<VerifiedBlob> {
        let path: PathBuf = self.known().get(digest)?.blob.path().to_owned();
        // The volume may hang, so the lock is not held meanwhile.
        let stamp = BlobStamp::of(&path)?;
        let mut known = self.known();
        let known = known.get_mut(digest).filter(|known| known.stamp == stamp)?;
        known.looked = Instant::now();
        Some(known.blob.clone())
    }

    /// Reads the record of a blob on a volume. `None` if there is no blob.
    pub(super) fn look(&self, volume: &Volume, digest: &Sha512Digest) -> Result<Option<VerifiedBlob>, CacheError> {
        // The stamp is taken first: if the files change meanwhile, it does not fit.
        let stamp = BlobStamp::of(&volume.path_of(digest));
        let blob = volume.blob(digest)?;
        if let (Some(stamp), Some(blob)) = (stamp, &blob) {
            let mut known = self.known();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(*digest, Known { blob: blob.clone(), stamp, looked: Instant::now() });
        }
        Ok(blob)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Sha512Digest, Known>> {
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
        let known = KnownBlobs::default();
        assert_eq!(known.get(&digest), None);
        let blob = known.look(&volume, &digest).unwrap();
        assert!(blob.is_some() && known.get(&digest) == blob && known.recent(&digest) == blob);
        volume.verify_blob(&digest, Timestamp::now()).unwrap();
        assert_eq!(known.get(&digest), None, "it has another record");
        let again = known.look(&volume, &digest).unwrap();
        assert!(again.is_some() && again != blob && known.get(&digest) == again);
        fs::remove_file(path.with_extension("json")).unwrap();
        assert_eq!(known.get(&digest), None);
        assert_eq!(known.look(&volume, &digest).unwrap(), None);
    }
}
