//! What was learned about bytes that a source identifies by SHA-256: their SHA-512, by which the cache stores them.
//!
//! The record is no right to a blob: a namespace that has none fetches the bytes itself.

use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::name::StatePath;
use super::volume::Volume;
use crate::digest::Sha256Digest;
use crate::imagelist::{ContentDigest, LearnedContent, ListedImage, Sha512Digest};

impl Volume {
    /// What was learned about bytes with this digest when they were downloaded: `state/sha256/<digest>.json`. `None` if
    /// they never were. An unreadable record counts as none; then the bytes are downloaded again.
    pub fn learned(&self, digest: &Sha256Digest) -> Result<Option<LearnedContent>, CacheError> {
        match self.read_state(&path(digest)?) {
            Err(CacheError::StateCorrupt { .. }) => Ok(None),
            read => read,
        }
    }

    /// Adds to an entry of a list what was learned about its bytes.
    pub fn complete(&self, image: &mut ListedImage) -> Result<(), CacheError> {
        if let Some(digest) = image.digest.sha256() {
            image.learned = self.learned(&digest)?;
        }
        Ok(())
    }

    /// The SHA-512 of bytes with this digest, if it is known.
    pub fn sha512_of(&self, digest: &ContentDigest) -> Result<Option<Sha512Digest>, CacheError> {
        match digest {
            ContentDigest::Sha512(digest) => Ok(Some(*digest)),
            ContentDigest::Sha256(digest) => Ok(self.learned(digest)?.map(|learned| learned.sha512)),
        }
    }

    /// Records what was learned about a blob whose SHA-256 was computed as well.
    pub(super) fn learn(&self, digest: &Sha256Digest, blob: &VerifiedBlob) -> Result<(), CacheError> {
        self.step("learned: record");
        let learned = LearnedContent { sha512: *blob.digest(), size: blob.size() };
        self.write_state(&path(digest)?, &learned)
    }
}

pub(super) fn path(digest: &Sha256Digest) -> Result<StatePath, CacheError> {
    Ok(StatePath::new(["sha256", digest.digits().as_str()])?)
}
