//! The signed payload of cosign's older form ("Simple Signing"): which manifest it is about, and in which repository.

use serde::Deserialize;

use crate::imagelist::oci::Repository;
use crate::trust::{Refusal, RefusalReason, Sha256Digest};

/// `critical.type` (cosign, signature specification).
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

/// cosign writes the name in lower case; its documentation has a capital letter.
#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest", alias = "Docker-manifest-digest")]
    digest: String,
}

/// Whether a payload is about this manifest in this repository. Its signature is already verified.
pub(super) fn is_about(payload: &[u8], digest: Sha256Digest, repository: &Repository) -> Result<(), Refusal> {
    let refused = |message: String| Refusal::new(RefusalReason::SignatureInvalid, message);
    let Payload { critical } = serde_json::from_slice(payload)
        .map_err(|error| refused(format!("expected a payload of cosign, found {error}")))?;
    if critical.kind != KIND {
        return Err(refused(format!("expected the type {KIND:?}, found {:?}", cut(&critical.kind))));
    }
    let found = critical.image.digest;
    if found.parse() != Ok(digest) {
        let message = format!("expected a signature of {digest}, found one of {:?}", cut(&found));
        return Err(Refusal::new(RefusalReason::MessageDigestMismatch, message));
    }
    names(repository, &critical.identity.reference)
}

/// Whether a signed reference names the repository. A signature of one repository is otherwise good for a copy of the
/// same artefact in another one.
pub(super) fn names(repository: &Repository, reference: &str) -> Result<(), Refusal> {
    if repository.is_named_by(reference) {
        return Ok(());
    }
    let message = format!("expected a signature for {repository}, found one for {:?}", cut(reference));
    Err(Refusal::new(RefusalReason::RepositoryMismatch, message))
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
