//! OCI artefacts: made as `oras push` makes them, signed as cosign signs them with the `openssl` command, and kept in a
//! registry: Debian's, or one whose answers a test chooses.

mod artefact;
mod cosign;
mod real;
mod scripted;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

pub use artefact::Artefact;
pub use cosign::{SigningKey, statement};
pub use real::RealRegistry;
pub use scripted::ScriptedRegistry;

/// The media type of manifests.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of indexes.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of bundles.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A place for artefacts.
pub trait Registry {
    /// Host and port.
    fn host(&self) -> String;
    /// Stores a blob.
    fn put_blob(&self, repository: &str, bytes: &[u8]);
    /// Stores a manifest under a tag or a digest.
    fn put_manifest(&self, repository: &str, reference: &str, kind: &str, bytes: &[u8]);

    /// Stores an artefact with its layer under a tag. Returns its digest.
    fn push(&self, repository: &str, tag: &str, artefact: &Artefact) -> String {
        self.put_blob(repository, b"{}");
        self.put_blob(repository, &artefact.layer);
        self.put_manifest(repository, tag, MANIFEST, &artefact.manifest());
        artefact.digest()
    }

    /// Stores a signature in cosign's older form.
    fn push_simple(&self, repository: &str, digest: &str, payload: &[u8], signature: &str) {
        self.put_blob(repository, b"{}");
        self.put_blob(repository, payload);
        let tag = format!("{}.sig", digest.replace(':', "-"));
        self.put_manifest(repository, &tag, MANIFEST, &artefact::simple_signature(payload, signature));
    }

    /// Stores a bundle as a referrer of an artefact: a manifest with a subject. Returns that manifest's digest and bytes.
    fn push_bundle(&self, repository: &str, subject: &[u8], bundle: &[u8]) -> (String, Vec<u8>) {
        self.put_blob(repository, b"{}");
        self.put_blob(repository, bundle);
        let manifest = artefact::referrer(subject, bundle);
        let digest = digest(&manifest);
        self.put_manifest(repository, &digest, MANIFEST, &manifest);
        (digest, manifest)
    }

    /// Signs what a tag holds in the older form, for this repository.
    fn sign(&self, repository: &str, artefact: &Artefact, key: &SigningKey) {
        let payload = cosign::payload(&format!("{}/{repository}", self.host()), &artefact.digest());
        self.push_simple(repository, &artefact.digest(), &payload, &key.sign(&payload));
    }
}

/// `sha256:` and the digits.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

pub use cosign::payload;
