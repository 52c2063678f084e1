//! Which namespace may use which blob. Blobs are shared by all namespaces, but rights are not: knowing the digest of a
//! private image does not give a right to it. A namespace has a right to a blob after a request of its own, with its
//! own credentials, has fetched all of its bytes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::name::{SafeName, StatePath};
use super::volume::Volume;
use crate::fs::read_directory;
use crate::imagelist::Sha512Digest;

/// `state/rights/<namespace>/<digest>.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Right {
    granted_time: Timestamp,
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
        self.write_state(&path(namespace, blob.digest())?, &Right { granted_time: now })
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
