//! What a file is, by its bytes. Pure, and made for hostile input: it reads fixed offsets of what it is given.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// How many leading bytes [`sniff`] can use.
pub const HEAD: usize = 64 * 1024;

/// How many trailing bytes [`sniff`] can use: a fixed VHD says what it is in its last sector only.
pub const TAIL: usize = 512;

/// A format of image files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A disk, byte by byte; everything that is nothing else.
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

/// What was found.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sniffed {
    /// The format.
    pub format: Format,
    /// The size of the disk inside in bytes, where the header tells it (qcow2, vmdk, vdi, vhd) or it is the file's (raw, iso).
    pub virtual_size: Option<u64>,
    /// What of the disk lies outside this file; such an image is never converted or published.
    pub outside: Option<Outside>,
}

/// What of a disk lies outside its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    /// It names a backing file, a parent, a differencing base.
    BackingFile,
    /// Its data is in another file (qcow2's external data file, a VMDK descriptor with extents).
    DataFile,
    /// QEMU knows a format that is not known here; it may name other files as well. Handed over as a raw disk it could
    /// be taken for what it is, by a cloud that looks for itself.
    OtherFormat,
}

/// Looks into a file: its first [`HEAD`] bytes (all of them, where it is shorter), its last [`TAIL`] and its size.
pub fn sniff(head: &[u8], tail: &[u8], size: u64) -> Sniffed {
    let found = [qcow2, vhdx, vmdk, vdi, compressed, tar, iso].iter().find_map(|look| look(head));
    let found = found.or_else(|| vhd(head, tail));
    let mut found = found.unwrap_or_else(|| Sniffed { outside: other_format(head), ..plain(Format::Raw) });
    if matches!(found.format, Format::Raw | Format::Iso) {
        found.virtual_size = Some(size);
    }
    found
}

fn plain(format: Format) -> Sniffed {
    Sniffed { format, virtual_size: None, outside: None }
}

fn starts(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

fn big_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_be_bytes)
}

fn big_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_be_bytes)
}

fn little_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

fn little_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// QEMU's docs/interop/qcow2.txt: magic, version 2 or 3, backing file offset at 8, virtual size at 24,
/// incompatible features (bit 2: external data file) at 72 from version 3 on.
fn qcow2(head: &[u8]) -> Option<Sniffed> {
    if !starts(head, 0, b"QFI\xfb") {
        return None;
    }
    let version = big_u32(head, 4)?;
    if !(2..=3).contains(&version) {
        return None;
    }
    let backing = big_u64(head, 8)? != 0;
    let external = version == 3 && big_u64(head, 72)? & 0b100 != 0;
    let outside = match (backing, external) {
        (true, _) => Some(Outside::BackingFile),
        (false, true) => Some(Outside::DataFile),
        (false, false) => None,
    };
    Some(Sniffed { format: Format::Qcow2, virtual_size: big_u64(head, 24), outside })
}

/// VMware's Virtual Disk Format 1.1: a sparse extent ("KDMV", capacity in sectors at 12, embedded descriptor at the
/// sector of 28), or a text descriptor alone, whose extents are other files.
fn vmdk(head: &[u8]) -> Option<Sniffed> {
    const DESCRIPTOR: &[u8] = b"# Disk DescriptorFile";
    if starts(head, 0, DESCRIPTOR) {
        return Some(Sniffed { format: Format::Vmdk, virtual_size: None, outside: Some(Outside::DataFile) });
    }
    if !starts(head, 0, b"KDMV") || !(1..=3).contains(&little_u32(head, 4)?) {
        return None;
    }
    let capacity = little_u64(head, 12)?;
    if capacity == 0 {
        // QEMU then opens what the embedded descriptor names.
        return Some(Sniffed { format: Format::Vmdk, virtual_size: None, outside: Some(Outside::DataFile) });
    }
    let virtual_size = capacity.checked_mul(512);
    let sector = |at| little_u64(head, at).and_then(|sectors| usize::try_from(sectors.checked_mul(512)?).ok());
    let descriptor = sector(28).filter(|offset| *offset > 0).and_then(|offset| {
        let rest = head.get(offset..)?;
        Some(&rest[..sector(36)?.min(rest.len())])
    });
    let outside = descriptor.and_then(vmdk_outside);
    Some(Sniffed { format: Format::Vmdk, virtual_size, outside })
}

/// Names a parent, or has more than the one extent that is this file.
pub(super) fn vmdk_outside(descriptor: &[u8]) -> Option<Outside> {
    let text = String::from_utf8_lossy(descriptor);
    let lines = || text.lines().map(str::trim);
    let names_parent = lines().any(|line| match line.split_once('=') {
        Some(("parentCID", value)) => !value.trim().eq_ignore_ascii_case("ffffffff"),
        Some(("parentFileNameHint", _)) => true,
        Some(_) | None => false,
    });
    let extents =
        lines().filter(|line| ["RW ", "RDONLY ", "NOACCESS "].iter().any(|mode| line.starts_with(mode))).count();
    match (names_parent, extents) {
        (true, _) => Some(Outside::BackingFile),
        (false, 0 | 1) => None,
        (false, _) => Some(Outside::DataFile),
    }
}

/// VirtualBox: the signature at 64, the image type at 76 (4: differencing), the disk size at 368 (header 1.1).
fn vdi(head: &[u8]) -> Option<Sniffed> {
    if !starts(head, 64, &0xbeda_107f_u32.to_le_bytes()) {
        return None;
    }
    let outside = (little_u32(head, 76)? == 4).then_some(Outside::BackingFile);
    Some(Sniffed { format: Format::Vdi, virtual_size: little_u64(head, 368), outside })
}

/// The Virtual Hard Disk Image Format Specification: a footer of 512 bytes at the end, a copy of it at the start of
/// dynamic and differencing disks; current size at 48, type at 60 (4: differencing).
fn vhd(head: &[u8], tail: &[u8]) -> Option<Sniffed> {
    let footer = [head, tail].into_iter().find(|bytes| starts(bytes, 0, b"conectix") && bytes.len() >= 512)?;
    let outside = (big_u32(footer, 60)? == 4).then_some(Outside::BackingFile);
    Some(Sniffed { format: Format::Vhd, virtual_size: big_u64(footer, 48), outside })
}

/// What QEMU's probes look for, beside the formats above: qcow, QED, VMDK 3, LUKS, Parallels, Bochs, cloop.
fn other_format(head: &[u8]) -> Option<Outside> {
    const MAGICS: [&[u8]; 8] = [
        b"QFI\xfb",
        b"QED\0",
        b"COWD",
        b"LUKS\xba\xbe",
        b"WithoutFreeSpace",
        b"WithouFreSpacExt",
        b"Bochs Virtual HD Image",
        b"#!/bin/sh\n#V2.0 Format\n",
    ];
    MAGICS.iter().any(|magic| starts(head, 0, magic)).then_some(Outside::OtherFormat)
}

fn vhdx(head: &[u8]) -> Option<Sniffed> {
    starts(head, 0, b"vhdxfile").then(|| plain(Format::Vhdx))
}

fn compressed(head: &[u8]) -> Option<Sniffed> {
    let magics: [(&[u8], Format); 4] = [
        (b"\x1f\x8b\x08", Format::Gz),
        (b"BZh", Format::Bz2),
        (b"\xfd7zXZ\0", Format::Xz),
        (b"\x28\xb5\x2f\xfd", Format::Zst),
    ];
    let (_, format) = magics.into_iter().find(|(magic, _)| starts(head, 0, magic))?;
    // "BZh" is text as well: a block size and the start of a block (pi) or of the end (sqrt pi) have to follow.
    let is_bzip2 = || {
        head.get(3).is_some_and(|level| (b'1'..=b'9').contains(level))
            && (starts(head, 4, b"1AY&SY") || starts(head, 4, b"\x17\x72\x45\x38\x50\x90"))
    };
    (format != Format::Bz2 || is_bzip2()).then(|| plain(format))
}

/// POSIX.1-1988 ustar and GNU tar. An OVF has to come first in an OVA (DSP0243 section 5.3), so the first names decide.
fn tar(head: &[u8]) -> Option<Sniffed> {
    if !starts(head, 257, b"ustar") {
        return None;
    }
    let mut offset = 0;
    while let Some(header) = head.get(offset..).filter(|rest| rest.len() >= 512 && starts(rest, 257, b"ustar")) {
        let name = header[..100].split(|c| *c == 0).next().unwrap_or_default();
        if name.to_ascii_lowercase().ends_with(b".ovf") {
            return Some(plain(Format::Ova));
        }
        let Some(next) = after(header).and_then(|length| length.checked_add(offset)) else { break };
        offset = next;
    }
    Some(plain(Format::Tar))
}

/// A member's length with its header, in whole blocks of 512 bytes.
fn after(header: &[u8]) -> Option<usize> {
    let digits = header.get(124..135)?.iter().map(|c| char::from(*c)).collect::<String>();
    let size = u64::from_str_radix(digits.trim_matches([' ', '\0']), 8).ok()?;
    usize::try_from(size.div_ceil(512).checked_add(1)?.checked_mul(512)?).ok()
}

/// ECMA-119 section 8: the first volume descriptor stands in sector 16.
fn iso(head: &[u8]) -> Option<Sniffed> {
    starts(head, 0x8001, b"CD001").then(|| plain(Format::Iso))
}

#[cfg(test)]
mod tests;
