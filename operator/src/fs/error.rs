//! The error of a file operation.

use std::io;
use std::path::{Path, PathBuf};

/// A file system operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}")]
pub struct FileError {
    /// The operation: `open`, `write`, `rename`, …
    pub action: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: the error of an operation on a path.
    pub fn of(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }

    /// Whether the file system or a quota was full.
    pub fn is_no_space(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        if self.is_no_space() { "NoSpace" } else { "StorageOperationFailed" }
    }
}
