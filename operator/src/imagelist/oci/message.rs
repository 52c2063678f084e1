//! The message of a repository: what the registry sent for each tag, in one document that is stored and verified again.
//!
//! It is JSON: `{"format": "vmcatcher.io/oci-repository/v1", "repository", "insecure", "tags": [{"tag", "digest", "index",
//! "manifest", "candidates": [{"form", "bytes", "digest", "manifest", "signature"}]}]}`. Bytes are in base64. The tags and the
//! candidates are in ascending order, each once, so that the same content is the same message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Candidate, CandidateForm, MAXIMUM_CANDIDATES, MAXIMUM_MANIFEST, MAXIMUM_PAYLOAD, MAXIMUM_TAGS, Repository, Tag,
};
use crate::digest::Sha256Digest;

/// What was fetched of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryMessage {
    /// The repository.
    pub repository: Repository,
    /// Whether it was fetched, and its disks are fetched, with http.
    pub insecure: bool,
    /// The manifests, in ascending order of their tags.
    pub tags: Vec<TaggedManifest>,
}

/// What was fetched of one tag, or of one digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaggedManifest {
    /// The tag; `None` for a manifest that is pinned by its digest.
    pub tag: Option<Tag>,
    /// The digest of what the tag names, as the registry states it. Signatures are of this digest.
    pub digest: Sha256Digest,
    /// The index, if the tag names one. Its digest is `digest`, and it names `manifest`.
    pub index: Option<Vec<u8>>,
    /// The manifest of the disk.
    pub manifest: Vec<u8>,
    /// What may be its signatures.
    pub candidates: Vec<Candidate>,
}

/// Why bytes are not the message of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not this JSON.
    #[error("expected the message of a repository, found {0}")]
    Unreadable(String),
    /// More of something than a message may have.
    #[error("expected at most {most} {what}, found {found}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
        /// The number.
        found: usize,
    },
    /// The tags are not in ascending order, each once.
    #[error("expected each tag once, in ascending order, found {0} out of order")]
    Order(String),
}

impl RepositoryMessage {
    /// A message. Tags and candidates are put in order; what is there twice is left out.
    pub fn new(repository: Repository, insecure: bool, mut tags: Vec<TaggedManifest>) -> Result<Self, MessageError> {
        for tagged in &mut tags {
            tagged.candidates.sort();
            tagged.candidates.dedup();
        }
        tags.sort();
        tags.dedup();
        let message = Self { repository, insecure, tags };
        message.check()?;
        Ok(message)
    }

    /// Parses a message strictly.
    pub fn read(bytes: &[u8]) -> Result<Self, MessageError> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| MessageError::Unreadable(error.to_string()))?;
        let Document { format: _, repository, insecure, tags } = document;
        let tags = tags.into_iter().map(TaggedManifest::from).collect();
        let message = Self { repository, insecure, tags };
        message.check()?;
        Ok(message)
    }

    /// The bytes of the message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document {
            format: Format::V1,
            repository: self.repository.clone(),
            insecure: self.insecure,
            tags: self.tags.iter().cloned().map(Entry::from).collect(),
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// The digest of its content: of the repository and of the digest of each tag, without the signatures.
    pub fn content_digest(&self) -> Sha256Digest {
        let mut text = format!("{}\n", self.repository);
        for tagged in &self.tags {
            let tag = tagged.tag.as_ref().map_or("", Tag::as_str);
            text.extend([tag, " ", &tagged.digest.to_string(), "\n"]);
        }
        Sha256Digest::of(text.as_bytes())
    }

    fn check(&self) -> Result<(), MessageError> {
        at_most("tags", MAXIMUM_TAGS, self.tags.len())?;
        for tagged in &self.tags {
            at_most("bytes of a manifest", MAXIMUM_MANIFEST, tagged.manifest.len())?;
            at_most("bytes of an index", MAXIMUM_MANIFEST, tagged.index.as_ref().map_or(0, Vec::len))?;
            at_most("signatures of a tag", MAXIMUM_CANDIDATES, tagged.candidates.len())?;
            for candidate in &tagged.candidates {
                at_most("bytes of a signed payload", MAXIMUM_PAYLOAD, candidate.bytes.len())?;
            }
        }
        let unordered = self.tags.array_windows().find(|[one, two]| one.tag >= two.tag);
        match unordered {
            Some([_, two]) => Err(MessageError::Order(two.shown())),
            None => Ok(()),
        }
    }
}

fn at_most(what: &'static str, most: usize, found: usize) -> Result<(), MessageError> {
    if found > most { Err(MessageError::TooMany { what, most, found }) } else { Ok(()) }
}

impl TaggedManifest {
    /// The tag or the digest, for messages.
    pub fn shown(&self) -> String {
        self.tag.as_ref().map_or_else(|| self.digest.to_string(), ToString::to_string)
    }

    /// What the digest is of: the index, or else the manifest.
    pub fn named(&self) -> &[u8] {
        self.index.as_ref().unwrap_or(&self.manifest)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: Format,
    repository: Repository,
    insecure: bool,
    tags: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
enum Format {
    #[serde(rename = "vmcatcher.io/oci-repository/v1")]
    V1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    tag: Option<Tag>,
    digest: Sha256Digest,
    index: Option<Base64>,
    manifest: Base64,
    candidates: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "camelCase", deny_unknown_fields)]
enum Signature {
    SimpleSigning { bytes: Base64, digest: Sha256Digest, manifest: Sha256Digest, signature: Option<String> },
    Bundle { bytes: Base64, digest: Sha256Digest, manifest: Sha256Digest },
}

/// Bytes, in JSON as base64.
struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl From<Entry> for TaggedManifest {
    fn from(entry: Entry) -> Self {
        let Entry { tag, digest, index, manifest, candidates } = entry;
        let candidates = candidates.into_iter().map(Candidate::from).collect();
        Self { tag, digest, index: index.map(|index| index.0), manifest: manifest.0, candidates }
    }
}

impl From<TaggedManifest> for Entry {
    fn from(tagged: TaggedManifest) -> Self {
        let TaggedManifest { tag, digest, index, manifest, candidates } = tagged;
        let candidates = candidates.into_iter().map(Signature::from).collect();
        Self { tag, digest, index: index.map(Base64), manifest: Base64(manifest), candidates }
    }
}

impl From<Signature> for Candidate {
    fn from(signature: Signature) -> Self {
        match signature {
            Signature::SimpleSigning { bytes, digest, manifest, signature } => {
                Self { form: CandidateForm::SimpleSigning { signature }, bytes: bytes.0, digest, manifest }
            }
            Signature::Bundle { bytes, digest, manifest } => {
                Self { form: CandidateForm::Bundle, bytes: bytes.0, digest, manifest }
            }
        }
    }
}

impl From<Candidate> for Signature {
    fn from(candidate: Candidate) -> Self {
        let Candidate { form, bytes, digest, manifest } = candidate;
        match form {
            CandidateForm::SimpleSigning { signature } => {
                Self::SimpleSigning { bytes: Base64(bytes), digest, manifest, signature }
            }
            CandidateForm::Bundle => Self::Bundle { bytes: Base64(bytes), digest, manifest },
        }
    }
}

#[cfg(test)]
mod tests;
