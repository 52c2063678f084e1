//! Which namespace may use which blob. Blobs are shared by all namespaces, but rights are not: knowing the digest of a
//! private image does not give a right to it. A namespace has a right to a blob after a request of its own, with its
//! own credentials, has fetched all of its bytes, or after an administrator gave it a file with these bytes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::name::{SafeName, StatePath};
use super::volume::Volume;
use crate::fs::read_directory;
use crate::imagelist::Sha512Digest;

/// `state/rights/<namespace>/<digest>.json`.
#[skip_serializing_none]
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Right {
    granted_time: Timestamp,
    /// Until when the garbage collection keeps the blob although nothing refers to it. Unset for a downloaded blob, which
    /// is used at once.
    kept_until: Option<Timestamp>,
}

impl Volume {
    /// A blob, if the namespace has a right to it; otherwise `None`, as if it did not exist.
    pub fn blob_for(&self, namespace: &SafeName, digest: &Sha512Digest) -> Result<Option<VerifiedBlob>, CacheError> {
        if self.has_right(namespace, digest)? { self.blob(digest) } else { Ok(None) }
    }

    /// Whether the namespace has a right to a blob. An unreadable record grants nothing; then the bytes are fetched
    /// again, which writes a new record.
    pub(super) fn has_right(&self, namespace: &SafeName, digest: &Sha512Digest) -> Result<bool, CacheError> {
        match self.read_state::<Right>(&path(namespace, digest)?) {
            Ok(right) => Ok(right.is_some()),
            Err(CacheError::StateCorrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Grants a right, because the namespace's own request fetched these bytes.
    pub(super) fn grant(&self, namespace: &SafeName, blob: &VerifiedBlob, now: Timestamp) -> Result<(), CacheError> {
        if self.has_right(namespace, blob.digest())? {
            return Ok(());
        }
        self.step("right: grant");
        self.write_state(&path(namespace, blob.digest())?, &Right { granted_time: now, kept_until: None })
    }

    /// Grants a right to bytes that an administrator gave to the namespace at `now`, and keeps the blob for `kept_for`.
    pub(super) fn grant_for(
        &self,
        namespace: &SafeName,
        blob: &VerifiedBlob,
        (now, kept_for): (Timestamp, SignedDuration),
    ) -> Result<(), CacheError> {
        let kept_until = Some(now.saturating_add(kept_for).unwrap_or(now));
        self.write_state(&path(namespace, blob.digest())?, &Right { granted_time: now, kept_until })
    }

    /// Whether a right of any namespace still keeps a blob that nothing refers to.
    pub(super) fn is_kept_by_right(&self, digest: &Sha512Digest, now: Timestamp) -> Result<bool, CacheError> {
        for namespace in read_directory(&self.path("state/rights"))? {
            let name = namespace.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let Some(name): Option<SafeName> = name else { continue };
            let until = match self.read_state::<Right>(&path(&name, digest)?) {
                Ok(right) => right.and_then(|right| right.kept_until),
                Err(CacheError::StateCorrupt { .. }) => None,
                Err(error) => return Err(error),
            };
            if until.is_some_and(|until| now < until) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes all rights to a removed blob. A namespace that wants it back has to fetch it.
    pub(super) fn end_rights(&self, digest: &Sha512Digest) -> Result<(), CacheError> {
        for namespace in read_directory(&self.path("state/rights"))? {
            let path = namespace.join(format!("{digest}.json"));
            if path.exists() {
                self.remove_file(&path)?;
            }
        }
        Ok(())
    }
}

pub(super) fn path(namespace: &SafeName, digest: &Sha512Digest) -> Result<StatePath, CacheError> {
    Ok(StatePath::new(["rights", namespace.as_str(), &digest.to_string()])?)
}
