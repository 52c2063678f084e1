//! What can go wrong between a reconcile and the place where its resources are.

use crate::api::{Class, Kind, ObjectKey};
use crate::cache::CacheError;

/// What went wrong between a reconcile and the place where its resources live.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object is gone.
    #[error("expected {kind} {key}, found that it is gone")]
    Gone {
        /// The kind.
        kind: Kind,
        /// Which one.
        key: ObjectKey,
    },
    /// The resources could not be kept on the volume.
    #[error("cannot keep {kind} {key}")]
    Keep {
        /// The kind.
        kind: Kind,
        /// Which one.
        key: ObjectKey,
        /// Why.
        source: CacheError,
    },
    /// An object could not be written as YAML.
    #[error("cannot write {key} as YAML")]
    Encode {
        /// Which one.
        key: ObjectKey,
        /// Why.
        source: serde_yaml::Error,
    },
    /// The API server does not allow it to this program.
    #[error("cannot {action} {object}: expected that this operator's account may, found: {message}")]
    Denied {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On what, such as `Secret default/token`.
        object: String,
        /// The server's words.
        message: String,
    },
    /// Another write came before this one.
    #[error("cannot {action} {object}, for it was changed meanwhile: {message}")]
    Conflict {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// The server's words.
        message: String,
    },
    /// The API server does not take what this program sends.
    #[error("cannot {action} {object}, for it was refused: {message}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// The server's words.
        message: String,
    },
    /// The namespace is being deleted, and takes nothing new.
    #[error("cannot {action} {object}, for its namespace is being deleted")]
    NamespaceEnds {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
    },
    /// The API server cannot be reached, or is too busy.
    #[error("cannot {action} {object}: {message}")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// Why not.
        message: String,
    },
}

impl StoreError {
    /// The condition reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "Gone",
            Self::Keep { source, .. } => source.reason(),
            Self::Encode { .. } => "InternalError",
            Self::Denied { .. } => "NotAuthorized",
            Self::Conflict { .. } => "Conflict",
            Self::Refused { .. } => "Refused",
            Self::NamespaceEnds { .. } => "NamespaceEnds",
            Self::Unavailable { .. } => "ClusterUnavailable",
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Gone { .. } | Self::Denied { .. } | Self::NamespaceEnds { .. } => Class::Waiting,
            Self::Keep { .. } | Self::Conflict { .. } | Self::Unavailable { .. } => Class::Transient,
            Self::Encode { .. } | Self::Refused { .. } => Class::Internal,
        }
    }
}
