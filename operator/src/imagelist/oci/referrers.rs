//! Where a registry says that signatures are: lists of referrers, and the manifests of signatures.

use super::manifest::{Descriptor, Index};
use super::{Manifest, ManifestError};
use crate::digest::Sha256Digest;

/// The media type of a Sigstore bundle. Older ones (`…;version=0.2`) have another form of the same content.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The media type of a payload of cosign's older form.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with the signature of such a payload.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// The digests of the manifests in a list of referrers (an index) that are bundles, in its order, each once. Without an
/// artefact type, the manifest must be looked at.
pub fn bundles(index: &[u8]) -> Result<Vec<Sha256Digest>, ManifestError> {
    let may_be = |one: &&Descriptor| one.artifact_type.as_deref().is_none_or(|kind| kind == BUNDLE);
    let mut found = Vec::new();
    for digest in Index::read(index)?.manifests.iter().filter(may_be).filter_map(|one| one.sha256().ok()) {
        if !found.contains(&digest) {
            found.push(digest);
        }
    }
    Ok(found)
}

impl Manifest {
    /// The layers of a manifest of a bundle that are bundles.
    pub fn bundle_layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().filter(|layer| layer.media_type == BUNDLE)
    }
}

/// The payloads of a manifest of signatures in cosign's older form, each with the text of its signature.
pub fn simple_signatures(manifest: &Manifest) -> impl Iterator<Item = (&Descriptor, Option<String>)> {
    let layers = manifest.layers.iter().filter(|layer| layer.media_type == SIMPLE_SIGNING);
    layers.map(|layer| (layer, layer.annotations.get(SIGNATURE).cloned()))
}
