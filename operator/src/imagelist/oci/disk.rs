//! What a manifest says about its disk.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Descriptor, Manifest, ManifestError, TaggedManifest};
use crate::digest::Sha256Digest;
use crate::imagelist::{ListVersion, date};
use crate::text::is_printable;

/// The annotation with the time at which an artefact was made (OCI image specification, annotations). `oras push` adds
/// it.
const CREATED: &str = "org.opencontainers.image.created";
/// The annotation after whose time the image is no longer endorsed: RFC 3339. The image specification has none.
const EXPIRES: &str = "io.vmcatcher.image.expires";

/// The most characters of a text from an annotation.
const LONGEST: usize = 1024;

/// The VM disk of a manifest: its first layer, with the annotations of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The digest of the layer.
    pub sha256: Sha256Digest,
    /// The bytes of the layer.
    pub size: u64,
    /// When the artefact was made.
    pub created: Timestamp,
    /// When it expires, if it does.
    pub expires: Option<Timestamp>,
    /// The version of the image; its time of creation if it has none.
    pub version: ListVersion,
    /// The title, if it has one.
    pub title: Option<String>,
    /// The description; empty if it has none.
    pub description: String,
    /// The operating system, such as `linux`; empty if it says none.
    pub os: String,
    /// The version of the operating system.
    pub os_version: String,
    /// The architecture, such as `x86_64`.
    pub arch: String,
    /// The hypervisor.
    pub hypervisor: String,
    /// The format of the disk, such as `qcow2`.
    pub format: Option<String>,
    /// Where it was made from: source and revision.
    pub comments: String,
}

impl Disk {
    /// Reads the manifest of a tag. Annotations of the manifest win over those of the layer.
    pub fn read(tagged: &TaggedManifest) -> Result<Self, ManifestError> {
        let manifest = Manifest::read(&tagged.manifest)?;
        let layer = manifest.layers.first().ok_or(ManifestError::NoLayer)?;
        let field = |place: &str, message: String| ManifestError::Field { place: place.to_owned(), message };
        let sha256 = layer.sha256().map_err(|error| field("layers[0].digest", error.to_string()))?;
        if layer.size == 0 {
            return Err(field("layers[0].size", "expected at least 1 byte, found 0".to_owned()));
        }
        let annotations = Annotations { manifest: &manifest.annotations, layer };
        let time = |key: &str| {
            let read = |text: &str| date::read(text).map_err(|message| field(key, message));
            annotations.get(key).map(read).transpose()
        };
        let created = time(CREATED)?.ok_or_else(|| field(CREATED, "expected a time, found none".to_owned()))?;
        let version = match annotations.text(&["org.opencontainers.image.version"]) {
            Some(version) => version.parse(),
            None => ListVersion::of_time(created),
        };
        let text = |keys: &[&str]| annotations.text(keys).unwrap_or_default();
        Ok(Self {
            sha256,
            size: layer.size,
            created,
            expires: time(EXPIRES)?,
            version: version.map_err(|error: crate::imagelist::VersionError| {
                field("org.opencontainers.image.version", error.to_string())
            })?,
            title: annotations.text(&["eu.egi.cloud.image.title", "org.opencontainers.image.title"]),
            description: text(&["eu.egi.cloud.description", "org.opencontainers.image.description"]),
            os: text(&["org.openstack.glance.os_type", "org.openstack.glance.os_distro"]),
            os_version: text(&["org.openstack.glance.os_version"]),
            arch: text(&["org.openstack.glance.architecture"]),
            hypervisor: text(&["org.openstack.glance.hypervisor_type"]),
            format: annotations.text(&["org.openstack.glance.disk_format"]),
            comments: [text(&["org.opencontainers.image.source"]), text(&["org.opencontainers.image.revision"])]
                .join(" ")
                .trim()
                .to_owned(),
        })
    }
}

/// The annotations of a manifest and of its first layer.
struct Annotations<'a> {
    manifest: &'a BTreeMap<String, String>,
    layer: &'a Descriptor,
}

impl Annotations<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let found = self.manifest.get(key).or_else(|| self.layer.annotations.get(key));
        found.map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    /// The first of these annotations that there is, without characters that are not printable, cut.
    fn text(&self, keys: &[&str]) -> Option<String> {
        let found = keys.iter().find_map(|key| self.get(key))?;
        Some(found.trim().chars().filter(|c| is_printable(*c)).take(LONGEST).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LAYER: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn read(manifest: &Value) -> Result<Disk, ManifestError> {
        let manifest = manifest.to_string().into_bytes();
        let digest = Sha256Digest::of(&manifest);
        let tagged = TaggedManifest { tag: "a".parse().ok(), digest, index: None, manifest, candidates: Vec::new() };
        Disk::read(&tagged)
    }

    /// The annotations that EGI's images have (some on the manifest, some on the layer).
    fn egi() -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": LAYER, "size": 2},
            "layers": [{
                "mediaType": "application/octet-stream", "digest": LAYER, "size": 2,
                "annotations": {"org.opencontainers.image.title": "ubuntu.qcow2", "org.openstack.glance.disk_format": "qcow2",
                    "org.openstack.glance.architecture": "aarch64"},
            }],
            "annotations": {
                "eu.egi.cloud.tag": "22.04", "eu.egi.cloud.image.title": "EGI Ubuntu 22.04",
                "eu.egi.cloud.description": "for\u{1b} clouds", "org.openstack.glance.architecture": "x86_64",
                "org.openstack.glance.os_distro": "ubuntu", "org.openstack.glance.os_version": "22.04",
                "org.openstack.glance.os_type": "linux", "org.opencontainers.image.created": "2026-11-01T10:00:00Z",
                "org.opencontainers.image.revision": "abc", "org.opencontainers.image.source": "https://example.org/a",
                "io.vmcatcher.image.expires": "2027-11-01T10:00:00+01:00",
            },
        })
    }

    #[test]
    fn an_image_of_egi_is_read() {
        let disk = read(&egi()).unwrap();
        assert_eq!((disk.sha256.to_string().as_str(), disk.size), (LAYER, 2));
        assert_eq!(disk.title.as_deref(), Some("EGI Ubuntu 22.04"));
        assert_eq!(disk.description, "for clouds");
        assert_eq!([&*disk.os, &disk.os_version, &disk.arch], ["linux", "22.04", "x86_64"]);
        assert_eq!(disk.format.as_deref(), Some("qcow2"));
        assert_eq!(disk.version.as_str(), "20261101100000");
        assert_eq!(disk.comments, "https://example.org/a abc");
        assert_eq!(disk.expires.unwrap().to_string(), "2027-11-01T09:00:00Z");
    }

    #[test]
    fn a_manifest_that_is_no_disk_is_refused_by_its_field() {
        let changed = |path: &str, value: Value| {
            let mut manifest = egi();
            *manifest.pointer_mut(path).unwrap() = value;
            read(&manifest).unwrap_err().to_string()
        };
        let cases = [
            (changed("/schemaVersion", json!(1)), "expected schemaVersion 2, found 1"),
            (changed("/layers", json!([])), "expected a layer with the disk, found none"),
            (changed("/layers/0/size", json!(0)), "layers[0].size: expected at least 1 byte"),
            (changed("/layers/0/size", json!(-1)), "expected a manifest with layers, found invalid value"),
            (changed("/layers/0/digest", json!("sha512:00")), "layers[0].digest: expected sha256:"),
            (changed("/annotations/org.opencontainers.image.created", json!("soon")), "created: expected an RFC 3339"),
            (
                changed("/annotations/org.opencontainers.image.created", json!("")),
                "created: expected a time, found none",
            ),
            (changed("/annotations/io.vmcatcher.image.expires", json!("2027")), "expires: expected an RFC 3339"),
            (changed("/annotations", json!([1])), "expected a manifest with layers"),
        ];
        for (found, expected) in cases {
            assert!(found.contains(expected), "{found:?}: {expected}");
        }
    }

    #[test]
    fn an_index_is_resolved_only_if_it_names_one_manifest() {
        use crate::imagelist::oci::{is_index, only_manifest};
        let index = |digests: &[&str]| {
            let manifests: Vec<Value> = digests.iter().map(|digest| json!({"digest": digest, "size": 1})).collect();
            json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()
        };
        assert!(is_index(&index(&[])) && !is_index(egi().to_string().as_bytes()) && !is_index(b"[]"));
        assert_eq!(only_manifest(&index(&[LAYER])).unwrap().to_string(), LAYER);
        for (digests, expected) in
            [(&[][..], "found 0"), (&[LAYER, LAYER], "found 2"), (&["md5:0"], "expected sha256:")]
        {
            assert!(only_manifest(&index(digests)).unwrap_err().to_string().contains(expected), "{digests:?}");
        }
    }
}
