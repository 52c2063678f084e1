//! Manifests.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{BUNDLE, MANIFEST, digest};

/// A VM disk as an OCI artefact, with the annotations that EGI's images have.
#[derive(Debug, Clone)]
pub struct Artefact {
    /// The disk.
    pub layer: Vec<u8>,
    /// The annotations of the manifest.
    pub annotations: Map<String, Value>,
}

impl Artefact {
    /// A disk of these bytes.
    pub fn new(layer: impl Into<Vec<u8>>, created: Timestamp) -> Self {
        let annotations = json!({
            "eu.egi.cloud.tag": "22.04",
            "eu.egi.cloud.image.title": "EGI Ubuntu 22.04",
            "org.openstack.glance.disk_format": "qcow2",
            "org.openstack.glance.architecture": "x86_64",
            "org.openstack.glance.os_type": "linux",
            "org.openstack.glance.os_version": "22.04",
            "org.opencontainers.image.created": created.to_string(),
        });
        let Value::Object(annotations) = annotations else { unreachable!("it is an object") };
        Self { layer: layer.into(), annotations }
    }

    /// With one more annotation, or another value of one.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }

    /// The bytes of its manifest.
    pub fn manifest(&self) -> Vec<u8> {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.egi.vm.image",
            "config": empty(),
            "layers": [{
                "mediaType": "application/octet-stream", "digest": digest(&self.layer), "size": self.layer.len(),
                "annotations": {"org.opencontainers.image.title": "disk.qcow2"},
            }],
            "annotations": self.annotations,
        });
        manifest.to_string().into_bytes()
    }

    /// The digest of its manifest.
    pub fn digest(&self) -> String {
        digest(&self.manifest())
    }
}

/// The empty configuration.
fn empty() -> Value {
    json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2})
}

/// The manifest of a signature in cosign's older form.
pub(super) fn simple_signature(payload: &[u8], signature: &str) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": empty(),
        "layers": [{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": digest(payload), "size": payload.len(),
            "annotations": {"dev.cosignproject.cosign/signature": signature},
        }],
    });
    manifest.to_string().into_bytes()
}

/// The manifest of a bundle that refers to a manifest.
pub(super) fn referrer(subject: &[u8], bundle: &[u8]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": empty(),
        "layers": [{"mediaType": BUNDLE, "digest": digest(bundle), "size": bundle.len()}],
        "subject": {"mediaType": MANIFEST, "digest": digest(subject), "size": subject.len()},
        "annotations": {"dev.sigstore.bundle.content": "dsse-envelope"},
    });
    manifest.to_string().into_bytes()
}
