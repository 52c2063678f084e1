//! The steps of a plan. Pure.

use std::fmt;
use std::path::PathBuf;

use super::memory::ListMemory;
use crate::api::ObjectKey;
use crate::fetch::Document;
use crate::imagelist::{ImageId, ListVersion};
use crate::trust::Sha256Digest;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Move a record that cannot be read out of the way, so that a user can inspect it.
    SetMemoryAside(PathBuf),
    /// Store the signed message of an accepted list.
    StoreList {
        /// `hv:version`.
        version: ListVersion,
        /// SHA-256 of the message. A list that was signed again without a change is another message.
        digest: Sha256Digest,
        /// The message.
        message: Document,
    },
    /// Write the record that the next message is checked against. From then on the list is in force.
    Remember(Box<ListMemory>),
    /// Write to the record who was revoked, and that a used `acceptList` was removed. It is not part of an import:
    /// withdrawn images are removed even if this write fails.
    RememberLearned(Box<ListMemory>),
    /// Add the finalizer to the subscription, or remove it.
    Finalize(bool),
    /// Create the object of a selected image.
    ApplyImage(ImageId),
    /// Delete the object of an image that is no longer wanted, or of a subscription that is being deleted.
    DeleteImage(ObjectKey),
}

impl Step {
    /// Whether it makes or deletes an image.
    pub(super) fn is_of_image(&self) -> bool {
        match self {
            Self::ApplyImage(_) | Self::DeleteImage(_) => true,
            Self::SetMemoryAside(_)
            | Self::StoreList { .. }
            | Self::Remember(_)
            | Self::RememberLearned(_)
            | Self::Finalize(_) => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetMemoryAside(path) => write!(f, "set {} aside", path.display()),
            Self::StoreList { version, digest, .. } => write!(f, "store list {version} ({})", digest.short()),
            Self::Remember(memory) => write!(f, "remember list {} as accepted", memory.last.version),
            Self::RememberLearned(_) => f.write_str("remember whose certificates were revoked, and what a person said"),
            Self::Finalize(true) => f.write_str("hold the subscription until its images are archived"),
            Self::Finalize(false) => f.write_str("let the subscription go"),
            Self::ApplyImage(identifier) => write!(f, "make the image {identifier}"),
            Self::DeleteImage(key) => write!(f, "delete the image {key}"),
        }
    }
}
