//! Errors of conversions.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sniff::Format;
use crate::size::Size;

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Part of the disk is in another file.
    #[error("expected a {format} that is complete by itself, found {found}")]
    Outside {
        /// The format of the disk.
        format: Format,
        /// The part that is in another file.
        found: &'static str,
    },
    /// The disk is encrypted.
    #[error("expected a {0} without encryption, found one with it")]
    Encrypted(Format),
    /// The header is invalid.
    #[error("expected a sound {format}: {message}")]
    Malformed {
        /// The format of the disk.
        format: Format,
        /// What was expected and what was found.
        message: String,
    },
    /// The disk, or the unpacked data, is larger than allowed.
    #[error("expected {what} of at most {limit} bytes (--max-virtual-size), found {found}")]
    TooLarge {
        /// `a disk`, …
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
        /// A number, or `more`.
        found: String,
    },
    /// The file is not a disk image and does not contain one.
    #[error("expected a disk image, an archive with one or a compressed one, found {found}")]
    NotADisk {
        /// What was found.
        found: String,
    },
    /// An archive or compressed data that cannot be read.
    #[error("cannot unpack the {format}: {message}")]
    Unpack {
        /// The format of the archive or compressed data.
        format: Format,
        /// What was expected and what was found.
        message: String,
    },
    /// A program is not installed.
    #[error("expected the program {program} (Debian package {package}), found none; the image is not converted")]
    ProgramMissing {
        /// Its name.
        program: String,
        /// The Debian package that contains it.
        package: &'static str,
    },
    /// qemu-img failed.
    #[error("qemu-img {command}: {said}")]
    Failed {
        /// `info`, `measure`, `convert`.
        command: &'static str,
        /// Its error output, or how it ended. Limited in length, one line.
        said: String,
    },
    /// It took too long.
    #[error("expected an end within {} s, found none", .0.as_secs())]
    Timeout(Duration),
    /// The result is not the requested format or size.
    #[error("expected {expected}, qemu-img made {found}")]
    Output {
        /// The format and size.
        expected: String,
        /// The format and size.
        found: String,
    },
    /// There is not enough space for the result.
    #[error("{} or more needed for the converted image, {found}", Size(*.needed))]
    NoSpace {
        /// The needed bytes.
        needed: u64,
        /// The free space on the volume, or the rest of the quota.
        found: String,
    },
    /// A file system operation failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// It was cancelled because nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

impl ConvertError {
    /// For `map_err`: the error of an operation on a path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { needed: 1, found: source.to_string() }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// Whether the image itself is the reason, so that another try would fail too.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Outside { .. }
                | Self::Encrypted { .. }
                | Self::Malformed { .. }
                | Self::TooLarge { .. }
                | Self::NotADisk { .. }
                | Self::Unpack { .. }
        )
    }
}
