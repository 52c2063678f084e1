//! Errors of the store of the resources.

use crate::api::{Class, Kind, ObjectKey};
use crate::fs::FileError;

/// An error of the store of the resources.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object does not exist.
    #[error("expected {kind} {key}, found that it is gone")]
    Gone {
        /// The kind.
        kind: Kind,
        /// Its key.
        key: ObjectKey,
    },
    /// The object could not be stored on the volume.
    #[error("cannot keep {kind} {key}")]
    Keep {
        /// The kind.
        kind: Kind,
        /// Its key.
        key: ObjectKey,
        /// Why.
        source: FileError,
    },
    /// An object could not be written as YAML.
    #[error("cannot write {key} as YAML")]
    Encode {
        /// Its key.
        key: ObjectKey,
        /// Why.
        source: serde_yaml::Error,
    },
    /// The API server does not permit the request.
    #[error("cannot {action} {object}: expected that this operator's account may, found: {message}")]
    Denied {
        /// The action, such as `read`.
        action: &'static str,
        /// The object, such as `Secret default/token`.
        object: String,
        /// The message of the server.
        message: String,
    },
    /// The object was changed by another write before this one.
    #[error("cannot {action} {object}: it was changed in the meantime: {message}")]
    Conflict {
        /// The action.
        action: &'static str,
        /// The object.
        object: String,
        /// The message of the server.
        message: String,
    },
    /// The API server rejects the request as invalid.
    #[error("cannot {action} {object}: it was refused: {message}")]
    Refused {
        /// The action.
        action: &'static str,
        /// The object.
        object: String,
        /// The message of the server.
        message: String,
    },
    /// The namespace is being deleted, and accepts no new objects.
    #[error("cannot {action} {object}: its namespace is being deleted")]
    NamespaceEnds {
        /// The action.
        action: &'static str,
        /// The object.
        object: String,
    },
    /// The API server cannot be reached, or is too busy.
    #[error("cannot {action} {object}: {message}")]
    Unavailable {
        /// The action.
        action: &'static str,
        /// The object.
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

    /// The class of the error.
    pub fn class(&self) -> Class {
        match self {
            Self::Gone { .. } | Self::Denied { .. } | Self::NamespaceEnds { .. } => Class::Waiting,
            Self::Keep { .. } | Self::Conflict { .. } | Self::Unavailable { .. } => Class::Transient,
            Self::Encode { .. } | Self::Refused { .. } => Class::Internal,
        }
    }
}
