//! What may be a signature of a manifest. It was found beside it in the registry, where anyone who can push may put it:
//! nothing is believed of it before a key verifies it.

use crate::digest::Sha256Digest;

/// The bytes that may sign a manifest, as the registry sent them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The form.
    pub form: CandidateForm,
    /// The bytes: the signed payload, or the whole bundle.
    pub bytes: Vec<u8>,
    /// The digest that the bytes had to have, from the manifest that names them.
    pub digest: Sha256Digest,
    /// The digest of the manifest that names them. What it names never changes, so it is not fetched again.
    pub manifest: Sha256Digest,
}

/// The form of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CandidateForm {
    /// cosign's older form: the bytes are a payload (`application/vnd.dev.cosign.simplesigning.v1+json`), and its
    /// signature is this annotation, in base64.
    SimpleSigning {
        /// The annotation `dev.cosignproject.cosign/signature`; `None` if there is none.
        signature: Option<String>,
    },
    /// A Sigstore bundle (`application/vnd.dev.sigstore.bundle.v0.3+json`).
    Bundle,
}
