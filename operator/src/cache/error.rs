//! What can go wrong on the volume and on the way to a verified image.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::free::Free;
use super::name::NameError;
use crate::api::Class;
use crate::fetch::{Came, FetchError};
use crate::imagelist::{Sha512Digest, SourceUrl};
use crate::size::Size;

/// Trouble with the volume.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file system refused an operation.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: `open`, `write`, `rename`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The volume is full.
    #[error("no space for {path}: {} needed, {free}", Size(*.needed))]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// On the volume.
        free: Free,
    },
    /// Another operator owns the volume.
    #[error("the volume {root} is in use by {holder}; one operator owns a volume, wait for it or stop it")]
    Locked {
        /// The volume.
        root: PathBuf,
        /// Who holds the lock, as it wrote into it.
        holder: String,
    },
    /// There is no volume.
    #[error("expected the volume's directory at {root}, found {found}; make the directory or mount the volume there")]
    NoVolume {
        /// Where it was looked for.
        root: PathBuf,
        /// What was there.
        found: String,
    },
    /// A write on a volume that was opened to be read.
    #[error("{path} was not written: the volume was opened for reading only")]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// A file of the state that cannot be read as what it is.
    #[error("{path} cannot be read: {message}; it is set aside when asked for, never overwritten")]
    StateCorrupt {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        message: String,
    },
    /// Something that is not the operator's stands where a file of its own has to be.
    #[error("{path} was not made by the operator and stays as it is; move it away to go on")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// An entry or a blob that was there is gone.
    #[error("{path} is gone")]
    Gone {
        /// What was looked for.
        path: PathBuf,
    },
    /// A text that is no name on the volume.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl CacheError {
    /// For `map_err`: the operation on the path failed.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the volume was full.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Locked { .. }
            | Self::NoVolume { .. }
            | Self::ReadOnly { .. }
            | Self::StateCorrupt { .. }
            | Self::Foreign { .. }
            | Self::Gone { .. }
            | Self::Name(_) => false,
        }
    }

    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            error if error.is_no_space() => "NoSpace",
            Self::Locked { .. } => "VolumeLocked",
            Self::StateCorrupt { .. } => "StateCorrupt",
            Self::Foreign { .. } => "ForeignFile",
            Self::Io { .. }
            | Self::NoSpace { .. }
            | Self::NoVolume { .. }
            | Self::ReadOnly { .. }
            | Self::Gone { .. }
            | Self::Name(_) => "StorageOperationFailed",
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Locked { .. } => Class::Waiting,
            Self::Foreign { .. } | Self::StateCorrupt { .. } | Self::Name(_) => Class::Stalled,
            Self::Io { .. } | Self::NoSpace { .. } | Self::NoVolume { .. } | Self::Gone { .. } => Class::Transient,
            Self::ReadOnly { .. } => Class::Internal,
        }
    }
}

/// Why an image is not in the cache. Shared, since a failed job stays visible.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DownloadError {
    /// The bytes could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The bytes are not those that the list endorses. They were removed.
    #[error("{url}: expected sha512 {expected}, found {found}{came}")]
    ChecksumMismatch {
        /// Where they came from.
        url: SourceUrl,
        /// The list's.
        expected: Box<Sha512Digest>,
        /// Theirs.
        found: Box<Sha512Digest>,
        /// What the answer says of itself.
        came: Box<Came>,
    },
    /// Another length than the list endorses. What had come was removed.
    #[error("{url}: expected {expected} bytes, found {found}{came}")]
    SizeMismatch {
        /// Where they came from.
        url: SourceUrl,
        /// The list's `hv:size`.
        expected: u64,
        /// What the server announced, or `more`.
        found: Box<str>,
        /// What the answer says of itself.
        came: Box<Came>,
    },
    /// It does not fit. Nothing was fetched.
    #[error("{url}: {} needed, {free}", Size(*.needed))]
    NoSpace {
        /// What was to be fetched.
        url: SourceUrl,
        /// Bytes still to come.
        needed: u64,
        /// On the volume.
        free: Free,
    },
    /// It does not fit into the quota. Nothing was fetched.
    #[error("{url}: {} needed, {} of the quota of {} are in use", Size(*.size), Size(*.used), Size(*.quota))]
    QuotaExceeded {
        /// What was to be fetched.
        url: SourceUrl,
        /// Bytes of the image.
        size: u64,
        /// Bytes in use and being fetched.
        used: u64,
        /// Bytes that may be used.
        quota: u64,
    },
    /// The volume failed.
    #[error(transparent)]
    Cache(#[from] Arc<CacheError>),
    /// It was cancelled; what has come stays for the next time.
    #[error("{url}: cancelled")]
    Cancelled {
        /// What was being fetched.
        url: SourceUrl,
    },
}

impl From<CacheError> for DownloadError {
    fn from(error: CacheError) -> Self {
        Self::Cache(Arc::new(error))
    }
}

impl DownloadError {
    /// The reason of the condition `Cached`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(_) | Self::Cancelled { .. } => "FetchFailed",
            Self::ChecksumMismatch { .. } => "ChecksumMismatch",
            Self::SizeMismatch { .. } => "SizeMismatch",
            Self::NoSpace { .. } | Self::QuotaExceeded { .. } => "NoSpace",
            Self::Cache(error) => error.reason(),
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Fetch(error) => error.class(),
            Self::ChecksumMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::NoSpace { .. }
            | Self::QuotaExceeded { .. }
            | Self::Cancelled { .. } => Class::Transient,
            Self::Cache(error) => error.class(),
        }
    }

    /// Whether the bytes were wrong: the failures that count against an image's three tries.
    pub fn is_mismatch(&self) -> bool {
        match self {
            Self::ChecksumMismatch { .. } | Self::SizeMismatch { .. } => true,
            Self::Fetch(_)
            | Self::NoSpace { .. }
            | Self::QuotaExceeded { .. }
            | Self::Cache(_)
            | Self::Cancelled { .. } => false,
        }
    }
}
