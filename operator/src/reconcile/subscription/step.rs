//! The steps of a plan. Pure.

use std::fmt;
use std::path::PathBuf;

use super::observe::ListMemory;
use crate::api::ObjectKey;
use crate::fetch::Document;
use crate::imagelist::{ImageId, ListVersion};
use crate::trust::Sha256Digest;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Move a memory that cannot be read out of the way, for a person to look at.
    SetMemoryAside(PathBuf),
    /// Keep an accepted list as it was signed.
    StoreList {
        /// `hv:version`.
        version: ListVersion,
        /// SHA-256 of the message: a list that was signed anew without a change is another message.
        digest: Sha256Digest,
        /// The message.
        message: Document,
    },
    /// Remember what the next message is judged by. From then on the list is in force.
    Remember(Box<ListMemory>),
    /// Remember who was revoked, and what a person takes back. Not part of an import: what is withdrawn goes out though
    /// this cannot be written.
    RememberLearned(Box<ListMemory>),
    /// Put the finalizer on the subscription, or take it off.
    Finalize(bool),
    /// Make a selected image's object.
    ApplyImage(ImageId),
    /// Delete the object of an image that went out, or of a subscription that goes.
    DeleteImage(ObjectKey),
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
