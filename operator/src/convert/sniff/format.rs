//! The formats of image files that are told apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format of image files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The raw bytes of a disk; also everything that is not another format.
    Raw,
    /// QEMU copy on write, version 2 or 3.
    Qcow2,
    /// VMware: monolithic sparse, stream-optimised, or a text descriptor.
    Vmdk,
    /// VirtualBox.
    Vdi,
    /// Virtual PC, dynamic or fixed.
    Vhd,
    /// Hyper-V.
    Vhdx,
    /// A tar archive with an OVF in it.
    Ova,
    /// Another tar archive.
    Tar,
    /// Compressed by gzip.
    Gz,
    /// Compressed by bzip2.
    Bz2,
    /// Compressed by xz.
    Xz,
    /// Compressed by zstd.
    Zst,
    /// An ISO 9660 file system.
    Iso,
}

impl Format {
    /// The file name extension under which images of the format are published.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Ova => "ova",
            Self::Tar => "tar",
            Self::Gz => "gz",
            Self::Bz2 => "bz2",
            Self::Xz => "xz",
            Self::Zst => "zst",
            Self::Iso => "iso",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.extension())
    }
}

pub(super) fn starts(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
}
