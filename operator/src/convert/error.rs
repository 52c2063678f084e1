//! Why no disk in the asked form came of an image.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sniff::Format;
use crate::size::Size;

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Part of the disk is said to be in another file.
    #[error("expected a {format} that is complete by itself, found {found}")]
    Outside {
        /// Of the disk.
        format: Format,
        /// What is outside.
        found: &'static str,
    },
    /// The disk is encrypted.
    #[error("expected a {format} without encryption, found one with it")]
    Encrypted {
        /// Of the disk.
        format: Format,
    },
    /// A header that says what cannot be.
    #[error("expected a sound {format}: {message}")]
    Malformed {
        /// Of the disk.
        format: Format,
        /// What was expected and what was found.
        message: String,
    },
    /// The disk, or what is unpacked on the way to it, is larger than what is allowed.
    #[error("expected {what} of at most {limit} bytes (--max-virtual-size), found {found}")]
    TooLarge {
        /// `a disk`, …
        what: &'static str,
        /// What is allowed.
        limit: u64,
        /// A number, or `more`.
        found: String,
    },
    /// Not what a disk can be made of.
    #[error("expected a disk image, an archive with one or a compressed one, found {found}")]
    NotADisk {
        /// What it is.
        found: String,
    },
    /// An archive or compressed data that cannot be read.
    #[error("cannot unpack the {format}: {message}")]
    Unpack {
        /// Of what was being unpacked.
        format: Format,
        /// What was expected and what was found.
        message: String,
    },
    /// A program is not installed.
    #[error("expected the program {program} (Debian package {package}), found none; the image stays as it is")]
    ProgramMissing {
        /// Its name.
        program: String,
        /// Where it comes from.
        package: &'static str,
    },
    /// qemu-img failed.
    #[error("qemu-img {command}: {said}")]
    Failed {
        /// `info`, `measure`, `convert`.
        command: &'static str,
        /// What it said, or how it ended. Bounded, one line.
        said: String,
    },
    /// It took too long.
    #[error("expected an end within {} s, found none", after.as_secs())]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// What came out is not what was asked for.
    #[error("expected {expected}, qemu-img made {found}")]
    Output {
        /// Format and size.
        expected: String,
        /// Format and size.
        found: String,
    },
    /// There is no room for what comes out.
    #[error("{} or more needed for the converted image, {found}", Size(*.needed))]
    NoSpace {
        /// Bytes.
        needed: u64,
        /// What is free on the volume, or left of a quota.
        found: String,
    },
    /// The file system refused an operation.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

impl ConvertError {
    /// For `map_err`: the operation on the path failed.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { needed: 1, found: source.to_string() }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// Whether the image itself is the reason: once more would end the same.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Outside { .. }
            | Self::Encrypted { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::NotADisk { .. }
            | Self::Unpack { .. } => true,
            Self::ProgramMissing { .. }
            | Self::Failed { .. }
            | Self::Timeout { .. }
            | Self::Output { .. }
            | Self::NoSpace { .. }
            | Self::Io { .. }
            | Self::Cancelled => false,
        }
    }
}
