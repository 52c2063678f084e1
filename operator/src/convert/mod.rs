//! Detects the format of an image file from its bytes, and converts it to a format that clouds accept.
//!
//! * [`sniff`]: formats are detected from the bytes, never taken from names or from a list
//! * [`header`]: checks, before any other program opens the file, that no part of a disk is outside its file
//! * unpacking: extracts one disk from gzip, bzip2, xz, zstd, tar and OVA, as a stream
//! * qemu-img: a child process with limits, without a network
//! * [`Conversion`]: all of these, for one image

mod child;
mod error;
pub mod header;
mod job;
mod qemu;
pub mod sniff;
mod unpack;

use serde::{Deserialize, Serialize};

pub use child::find_program;
pub use error::ConvertError;
pub use job::{Conversion, Converted, Room};
pub use sniff::{Format, Sniffed};
pub use unpack::{Meter, Part};

/// The formats that are given to a cloud, unchanged or converted. Archives and compressed images are not, because a
/// cloud would not unpack them correctly, so they are unpacked and converted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// QEMU copy on write, version 2 or 3 (3 if it is made here).
    Qcow2,
    /// The bytes of the disk; zeros are holes.
    Raw,
}

impl Form {
    /// The form of a format; `None` if it has to be converted, or cannot be.
    pub fn of(format: Format) -> Option<Self> {
        [Self::Qcow2, Self::Raw].into_iter().find(|form| form.format() == format)
    }

    /// The name as in OpenNebula's `DRIVER` and `FORMAT`.
    pub const fn as_str(self) -> &'static str {
        self.format().extension()
    }

    /// The form as a [`Format`].
    pub const fn format(self) -> Format {
        match self {
            Self::Qcow2 => Format::Qcow2,
            Self::Raw => Format::Raw,
        }
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.format().fmt(f)
    }
}
