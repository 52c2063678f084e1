//! Errors of the spool.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::api::Class;
use crate::events::settings::SinkName;
use crate::fs::FileError;

/// Why something in the spool cannot be read or written. What was in it before is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// An operation of the file system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file system is full, or the quota is used up.
    #[error("no space to {action} {path}: {source}")]
    NoSpace {
        /// The operation, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file system does not take writes.
    #[error("cannot {action} {path}: expected a file system that can be written, found a read-only one")]
    ReadOnly {
        /// The operation, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// An event has no JSON form.
    #[error("event {id} cannot be written as JSON: {source}")]
    NotJson {
        /// The event.
        id: Uuid,
        /// What the writer said.
        source: serde_json::Error,
    },
    /// There is no such sink in the settings.
    #[error("expected the name of a configured sink ({known}), found {sink}")]
    UnknownSink {
        /// The name that was asked for.
        sink: SinkName,
        /// The names that there are.
        known: String,
    },
    /// An operation on the spool did not come to its end, as when the program ends.
    #[error("an operation on {path} did not end: {found}")]
    Interrupted {
        /// The directory of the spool.
        path: PathBuf,
        /// What was found.
        found: String,
    },
}

impl From<FileError> for SpoolError {
    fn from(FileError { action, path, source }: FileError) -> Self {
        Self::io(action, &path)(source)
    }
}

impl SpoolError {
    /// For `map_err`: the error of an operation on a path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                Self::NoSpace { action, path: path.to_owned(), source }
            }
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path: path.to_owned() },
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// One word for conditions and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Interrupted { .. } => "SpoolFailed",
            Self::NoSpace { .. } => "NoSpace",
            Self::ReadOnly { .. } => "ReadOnly",
            Self::NotJson { .. } | Self::UnknownSink { .. } => "Internal",
        }
    }

    /// The class for the driver.
    pub const fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::NoSpace { .. } | Self::ReadOnly { .. } | Self::Interrupted { .. } => {
                Class::Transient
            }
            Self::NotJson { .. } | Self::UnknownSink { .. } => Class::Internal,
        }
    }
}
