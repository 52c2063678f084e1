//! Parses the header of a disk image, as far as it is in the first bytes.

use super::format::{Format, starts};
use super::{Outside, Sniffed, other_format, plain};

/// Parses a file with the magic number of a format. If its header is not understood, it counts as another format.
pub(super) fn look(format: Format, head: &[u8], tail: &[u8]) -> Sniffed {
    let found = match format {
        Format::Qcow2 => qcow2(head),
        Format::Vmdk => vmdk(head),
        Format::Vdi => vdi(head),
        Format::Vhd => vhd(head, tail),
        Format::Vhdx => Some(plain(format)),
        Format::Raw | Format::Ova | Format::Tar | Format::Gz | Format::Bz2 | Format::Xz | Format::Zst | Format::Iso => {
            None
        }
    };
    found.unwrap_or_else(|| other_format(format))
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

/// QEMU's docs/interop/qcow2.rst: version at 4, backing file offset at 8, cluster size at 20, virtual size at 24; from
/// version 3 on, incompatible features at 72 (bit 2: external data file, five are known) and header length at 100. A
/// qcow2 is published unchanged, so a file that QEMU would not open does not count as one.
fn qcow2(head: &[u8]) -> Option<Sniffed> {
    const KNOWN: u64 = 0b1_1111;
    let (version, cluster_bits) = (big_u32(head, 4)?, big_u32(head, 20)?);
    let (features, length) = if version < 3 { (0, 72) } else { (big_u64(head, 72)?, big_u32(head, 100)?) };
    let outside = match (big_u64(head, 8)? != 0, features & 0b100 != 0) {
        (true, _) => Some(Outside::BackingFile),
        (false, true) => Some(Outside::DataFile),
        (false, false) => None,
    };
    let sound = (9..=21).contains(&cluster_bits) && features & !KNOWN == 0 && (version < 3 || length >= 104);
    let found = Sniffed { format: Format::Qcow2, virtual_size: big_u64(head, 24), outside };
    (sound || outside.is_some()).then_some(found)
}

/// VMware's Virtual Disk Format 1.1: a sparse extent ("KDMV", version at 4, capacity in sectors at 12, embedded
/// descriptor at the sector of 28), or a text descriptor alone, whose extents are other files.
fn vmdk(head: &[u8]) -> Option<Sniffed> {
    let elsewhere = Sniffed { outside: Some(Outside::DataFile), ..plain(Format::Vmdk) };
    if !starts(head, 0, b"KDMV") {
        return Some(elsewhere);
    }
    if !(1..=3).contains(&little_u32(head, 4)?) {
        return None;
    }
    let capacity = little_u64(head, 12)?;
    if capacity == 0 {
        // In this case QEMU opens the files that the embedded descriptor names.
        return Some(elsewhere);
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

/// Whether a descriptor names a parent, or has more than the one extent that is this file.
pub(in crate::convert) fn vmdk_outside(descriptor: &[u8]) -> Option<Outside> {
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
