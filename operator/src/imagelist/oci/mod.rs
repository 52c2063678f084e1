//! A repository of an OCI registry as an image list: each tag is one image, a VM disk as an OCI artefact. Pure.
//!
//! [`OciRule`] is what a subscription says. [`RepositoryMessage`] is what was fetched from the registry, byte for byte:
//! the manifest of each tag and the signatures that were found for it. [`Disk`] is what a manifest says about its disk.
//! Whether a signature counts is decided in `trust`.

mod candidate;
mod disk;
mod listed;
mod manifest;
mod message;
mod referrers;
mod repository;
mod rule;

pub use candidate::{Candidate, CandidateForm};
pub use disk::Disk;
pub use manifest::{Descriptor, Manifest, ManifestError, is_index, only_manifest};
pub use message::{MessageError, RepositoryMessage, TaggedManifest};
pub use referrers::{bundles, simple_signatures};
pub use repository::{Repository, RepositoryError, Tag, TagError};
pub use rule::{OciRule, OciRuleError, WantedTags};

/// The most tags of a repository that can be images of one subscription.
pub const MAXIMUM_TAGS: usize = 100;

/// The most candidates for signatures of one tag.
pub const MAXIMUM_CANDIDATES: usize = 16;

/// The most bytes of a manifest or an index. The distribution specification lets registries refuse more than 4 MiB; the
/// manifest of a VM disk has about 2 KiB.
pub const MAXIMUM_MANIFEST: usize = 256 << 10;

/// The most bytes of a signed payload or of a bundle; a usual one has less than 4 KiB.
pub const MAXIMUM_PAYLOAD: usize = 64 << 10;

/// The media types of manifests and indexes that are requested: those of OCI and of Docker (version 2, schema 2).
pub const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
