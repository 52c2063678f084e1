//! Manifests and indexes (OCI image specification 1.1; Docker image manifest version 2, schema 2).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::MAXIMUM_MANIFEST;
use crate::digest::{DigestError, Sha256Digest};

/// A manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The media type; OCI manifests may lack it.
    pub media_type: Option<String>,
    /// The type of the artefact.
    pub artifact_type: Option<String>,
    /// The layers.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The annotations of the manifest.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// Where a manifest or an index says that something is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    #[serde(default)]
    pub media_type: String,
    /// The digest, as it is written.
    pub digest: String,
    /// The number of bytes.
    pub size: u64,
    /// The type of the artefact, in lists of referrers.
    pub artifact_type: Option<String>,
    /// The annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// The digest. Only SHA-256 is read, which every registry has.
    pub fn sha256(&self) -> Result<Sha256Digest, DigestError> {
        self.digest.parse()
    }
}

/// An index, also the answer of the referrers API.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    pub(super) manifests: Vec<Descriptor>,
}

/// Why bytes are not the manifest of a VM disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Too many bytes.
    #[error("expected a manifest of at most {MAXIMUM_MANIFEST} bytes, found {0}")]
    TooLarge(usize),
    /// Not the JSON of a manifest or an index.
    #[error("expected a manifest with layers, found {0}")]
    Unreadable(String),
    /// Another schema version.
    #[error("expected schemaVersion 2, found {0}")]
    Schema(u32),
    /// An index of more than one manifest, or of none.
    #[error("expected an index of one manifest, found {0}: each architecture needs a tag of its own")]
    NotOne(usize),
    /// No layer.
    #[error("expected a layer with the disk, found none")]
    NoLayer,
    /// A descriptor or an annotation that cannot be used.
    #[error("{place}: {message}")]
    Field {
        /// Where it is.
        place: String,
        /// What was expected and what was found.
        message: String,
    },
}

impl Manifest {
    /// Parses a manifest. A member that occurs twice is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = read(bytes)?;
        if manifest.schema_version != 2 {
            return Err(ManifestError::Schema(manifest.schema_version));
        }
        Ok(manifest)
    }
}

impl Index {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let index: Self = read(bytes)?;
        if index.schema_version != 2 {
            return Err(ManifestError::Schema(index.schema_version));
        }
        Ok(index)
    }
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, ManifestError> {
    if bytes.len() > MAXIMUM_MANIFEST {
        return Err(ManifestError::TooLarge(bytes.len()));
    }
    serde_json::from_slice(bytes).map_err(|error| ManifestError::Unreadable(error.to_string()))
}

/// Whether the bytes are an index: they have `manifests` and no `layers`.
pub fn is_index(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Kind {
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
    }
    let kind = serde_json::from_slice::<Kind>(bytes);
    bytes.len() <= MAXIMUM_MANIFEST && kind.is_ok_and(|kind| kind.manifests.is_some() && kind.layers.is_none())
}

/// The digest of the one manifest of an index. An index of several architectures is not guessed about.
pub fn only_manifest(index: &[u8]) -> Result<Sha256Digest, ManifestError> {
    let index = Index::read(index)?;
    let [only] = index.manifests.as_slice() else { return Err(ManifestError::NotOne(index.manifests.len())) };
    let field = |error: DigestError| ManifestError::Field {
        place: "manifests[0].digest".to_owned(),
        message: error.to_string(),
    };
    only.sha256().map_err(field)
}
