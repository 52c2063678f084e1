//! The versions of an image that are on the volume. Pure.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::imagelist::{ListVersion, Sha512Digest};

/// What changed within this time is read again: a file system may give two changes the same time.
pub(super) const UNSURE: SignedDuration = SignedDuration::from_secs(2);

/// One version of an image on the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `hv:version` of the image.
    pub version: ListVersion,
    /// SHA-512 of its bytes.
    pub digest: Sha512Digest,
    /// The absolute path of the link.
    pub path: PathBuf,
    /// When it was archived; `None` while it is endorsed.
    pub archived_time: Option<Timestamp>,
}

impl Entry {
    /// Whether both are the same version with the same bytes, in any directory.
    pub fn is_version_of(&self, other: &Self) -> bool {
        (&self.version, &self.digest) == (&other.version, &other.digest)
    }

    /// The first 12 hexadecimal digits of the digest, as in the file's name.
    pub fn digest12(&self) -> String {
        self.digest.short()
    }
}

/// The versions of one image, sorted by the time of archiving.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Under `endorsed/`.
    pub endorsed: Vec<Entry>,
    /// Under `expired/`, the oldest first.
    pub expired: Vec<Entry>,
}
