//! Errors of an import.

use std::path::{Path, PathBuf};

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file has another form.
    #[error("{path}: expected {expected}, found {found}")]
    OtherForm {
        /// The file.
        path: PathBuf,
        /// The expected form.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// Another program changes the database, or was cut off while it did.
    #[error("{path}: {found}; stop vmcatcher and its cron job, then run: sqlite3 {path} 'PRAGMA journal_mode=DELETE'")]
    InUse {
        /// The database.
        path: PathBuf,
        /// What shows it.
        found: &'static str,
    },
    /// SQLite cannot read the database.
    #[error("{path}: SQLite cannot read {what}: {message}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What was read.
        what: String,
        /// The error of SQLite.
        message: String,
    },
    /// There is more than is read.
    #[error("{path}: expected at most {most} {of}, found more")]
    TooMuch {
        /// The file.
        path: PathBuf,
        /// The limit.
        most: u64,
        /// What is counted.
        of: String,
    },
}

impl ImportError {
    /// For `map_err`: a file that cannot be read.
    pub(super) fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Unreadable { path: path.to_owned(), source }
    }
}
