//! What an image file is, by its bytes, and how it becomes what a cloud takes.
//!
//! * [`sniff`]: formats are found by looking into the bytes, never believed from names or from a list
//! * [`header`]: nothing of a disk may be outside its file; read before any other program sees it
//! * unpacking: out of gzip, bzip2, xz, zstd, tar and OVA, streamed, one disk
//! * qemu-img: a child with limits, without a network
//! * [`Conversion`]: all of it, for one image

mod child;
mod error;
pub mod header;
mod job;
mod qemu;
pub mod sniff;
mod unpack;

use serde::{Deserialize, Serialize};

pub use error::ConvertError;
pub use job::{Conversion, Converted, Room};
pub use sniff::{Format, Sniffed};
pub use unpack::{Meter, Part};

/// What is handed to a cloud, as it is or converted to it. Archives and compressed images are not: a cloud unpacks them into
/// something useless, so they are opened and converted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// QEMU copy on write, version 2 or 3 (3 where it is made here).
    Qcow2,
    /// The bytes of the disk; zeros are holes.
    Raw,
}

impl Form {
    /// The form of a format; `None` where that has to be converted, or cannot be.
    pub const fn of(format: Format) -> Option<Self> {
        match format {
            Format::Qcow2 => Some(Self::Qcow2),
            Format::Raw => Some(Self::Raw),
            Format::Vmdk
            | Format::Vdi
            | Format::Vhd
            | Format::Vhdx
            | Format::Ova
            | Format::Tar
            | Format::Gz
            | Format::Bz2
            | Format::Xz
            | Format::Zst
            | Format::Iso => None,
        }
    }

    /// As people, `DRIVER` and `FORMAT` write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }

    /// As a format.
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
