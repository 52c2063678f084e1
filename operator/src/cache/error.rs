//! Errors of the volume and of downloads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::name::NameError;
use super::space::Free;
use crate::api::Class;
use crate::fetch::{Came, FetchError};
use crate::fs::FileError;
use crate::imagelist::{ContentDigest, SourceUrl};
use crate::size::Size;

/// An error of the volume.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file system operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The volume is full.
    #[error("no space for {path}: {} needed, {free}", Size(*.needed))]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
        /// The needed bytes.
        needed: u64,
        /// The free space on the volume.
        free: Free,
    },
    /// Another operator owns the volume.
    #[error(
        "the volume {root} is in use by {holder}; only one operator can use a volume; wait until it ends, or stop it"
    )]
    Locked {
        /// The volume.
        root: PathBuf,
        /// The holder of the lock, as written in the lock file.
        holder: String,
    },
    /// There is no volume.
    #[error("expected the volume's directory at {root}, found {found}; make the directory or mount the volume there")]
    NoVolume {
        /// The path of the volume.
        root: PathBuf,
        /// What was found there.
        found: String,
    },
    /// A write on a volume that was opened read-only.
    #[error("{path} was not written: the volume was opened for reading only")]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// A state file that cannot be parsed.
    #[error("{path} cannot be read: {message}; it is moved aside when it is needed, and never overwritten")]
    StateCorrupt {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        message: String,
    },
    /// A file or directory that the operator did not make has the name of a file that the operator needs.
    #[error("{path} was not made by the operator and is not touched; move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// An entry or a blob no longer exists.
    #[error("{} is gone", .0.display())]
    Gone(PathBuf),
    /// A text that cannot be a name on the volume.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl CacheError {
    /// For `map_err`: the error of an operation on a path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::File(FileError { action, path: path.to_owned(), source })
    }

    /// Whether the volume was full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. }) || matches!(self, Self::File(error) if error.is_no_space())
    }

    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            error if error.is_no_space() => "NoSpace",
            Self::Locked { .. } => "VolumeLocked",
            Self::StateCorrupt { .. } => "StateCorrupt",
            Self::Foreign { .. } => "ForeignFile",
            Self::File(_)
            | Self::NoSpace { .. }
            | Self::NoVolume { .. }
            | Self::ReadOnly { .. }
            | Self::Gone { .. }
            | Self::Name(_) => "StorageOperationFailed",
        }
    }

    /// The class for the driver.
    pub fn class(&self) -> Class {
        match self {
            Self::Locked { .. } => Class::Waiting,
            Self::Foreign { .. } | Self::StateCorrupt { .. } | Self::Name(_) => Class::Stalled,
            Self::File(_) | Self::NoSpace { .. } | Self::NoVolume { .. } | Self::Gone { .. } => Class::Transient,
            Self::ReadOnly { .. } => Class::Internal,
        }
    }
}

/// Why an image is not in the cache. Errors of the volume are shared, because a failed job stays visible.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DownloadError {
    /// The bytes could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The bytes do not have the digest in the list. They were removed.
    #[error("{url}: expected {}, found {}{came}", named(expected), named(found))]
    ChecksumMismatch {
        /// The URL.
        url: SourceUrl,
        /// The digest in the list.
        expected: Box<ContentDigest>,
        /// The digest of the bytes.
        found: Box<ContentDigest>,
        /// The description of the response.
        came: Box<Came>,
    },
    /// The length is not the one in the list. The received bytes were removed.
    #[error("{url}: expected {expected} bytes, found {found}{came}")]
    SizeMismatch {
        /// The URL.
        url: SourceUrl,
        /// The list's `hv:size`.
        expected: u64,
        /// The length from the server, or that it is more than expected.
        found: Box<str>,
        /// The description of the response.
        came: Box<Came>,
    },
    /// Neither the source nor the server states the length. Nothing was fetched.
    #[error("{0}: expected the length of the file from the server, for the source does not state it; found none")]
    SizeUnknown(SourceUrl),
    /// There is not enough space. Nothing was fetched.
    #[error("{url}: {} needed, {free}", Size(*.needed))]
    NoSpace {
        /// The URL.
        url: SourceUrl,
        /// The bytes that are still to be fetched.
        needed: u64,
        /// The free space on the volume.
        free: Free,
    },
    /// It exceeds the quota. Nothing was fetched.
    #[error("{url}: {} needed, {} of the quota of {} are in use", Size(*.size), Size(*.used), Size(*.quota))]
    QuotaExceeded {
        /// The URL.
        url: SourceUrl,
        /// The size of the image in bytes.
        size: u64,
        /// The bytes in use and being fetched.
        used: u64,
        /// The quota in bytes.
        quota: u64,
    },
    /// The volume failed.
    #[error(transparent)]
    Cache(#[from] Arc<CacheError>),
    /// It was cancelled. The received bytes are kept for the next time.
    #[error("{0}: cancelled")]
    Cancelled(SourceUrl),
}

/// A digest with the name of its algorithm.
fn named(digest: &ContentDigest) -> String {
    match digest {
        ContentDigest::Sha512(digest) => format!("sha512 {digest}"),
        ContentDigest::Sha256(digest) => digest.to_string(),
    }
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
            Self::Fetch(_) | Self::SizeUnknown(_) | Self::Cancelled { .. } => "FetchFailed",
            Self::ChecksumMismatch { .. } => "ChecksumMismatch",
            Self::SizeMismatch { .. } => "SizeMismatch",
            Self::NoSpace { .. } | Self::QuotaExceeded { .. } => "NoSpace",
            Self::Cache(error) => error.reason(),
        }
    }

    /// The class for the driver.
    pub fn class(&self) -> Class {
        match self {
            Self::Fetch(error) => error.class(),
            Self::ChecksumMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::SizeUnknown(_)
            | Self::NoSpace { .. }
            | Self::QuotaExceeded { .. }
            | Self::Cancelled { .. } => Class::Transient,
            Self::Cache(error) => error.class(),
        }
    }

    /// Whether the bytes were wrong. Only such failures count towards an image's three tries.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::ChecksumMismatch { .. } | Self::SizeMismatch { .. })
    }
}
