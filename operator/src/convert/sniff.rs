//! Detects the format of a file from its bytes. Pure, and safe for hostile input: it reads only fixed offsets of its
//! input.

mod claim;
mod disk;
mod format;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use self::claim::{Claim, claims};
pub(super) use self::disk::vmdk_outside;
pub use self::format::Format;
use self::format::starts;

/// Incremented when the result for the same bytes changes. Results of an older revision are computed again.
pub const REVISION: u8 = 2;

/// The number of leading bytes that [`sniff`] uses.
pub const HEAD: usize = 64 * 1024;

/// The number of trailing bytes that [`sniff`] uses. A fixed VHD can be recognised only by its last sector.
pub const TAIL: usize = 512;

/// The result of [`sniff`].
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sniffed {
    /// The format.
    pub format: Format,
    /// The size of the disk in bytes, if the header contains it (qcow2, vmdk, vdi, vhd) or if it is the file size (raw,
    /// iso).
    pub virtual_size: Option<u64>,
    /// The part of the disk that is outside this file, if any. Such an image is never converted or published.
    pub outside: Option<Outside>,
}

/// The part of a disk that is outside its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    /// A backing file, a parent, or the base of a differencing disk.
    BackingFile,
    /// The data (qcow2's external data file, or a VMDK descriptor with extents).
    DataFile,
    /// A probe of QEMU recognises the file as a format that is not supported here, or as a variant that is not
    /// supported. It may name other files as well. If it were published as a raw disk, a cloud that detects formats
    /// itself could use it as that format.
    OtherFormat,
}

/// Detects the format of a file from its first [`HEAD`] bytes (all of them, if it is shorter), its last [`TAIL`] bytes
/// and its size.
///
/// A file that other software may recognise as a disk image is never raw: the magic number alone decides, and a header
/// that is not understood is another format.
pub fn sniff(head: &[u8], tail: &[u8], size: u64) -> Sniffed {
    let content = [compressed, tar, iso].iter().find_map(|look| look(head));
    let mut found = match (claims(head, tail).as_slice(), content) {
        ([], content) => plain(content.unwrap_or(Format::Raw)),
        ([Claim::Head(format)], _) | ([Claim::Tail(format)], None) => disk::look(*format, head, tail),
        (many, content) => {
            other_format(content.or_else(|| many.iter().copied().find_map(Claim::format)).unwrap_or(Format::Raw))
        }
    };
    if matches!(found.format, Format::Raw | Format::Iso) {
        found.virtual_size = Some(size);
    }
    found
}

fn plain(format: Format) -> Sniffed {
    Sniffed { format, virtual_size: None, outside: None }
}

fn other_format(format: Format) -> Sniffed {
    Sniffed { outside: Some(Outside::OtherFormat), ..plain(format) }
}

fn compressed(head: &[u8]) -> Option<Format> {
    let magics: [(&[u8], Format); 4] = [
        (b"\x1f\x8b\x08", Format::Gz),
        (b"BZh", Format::Bz2),
        (b"\xfd7zXZ\0", Format::Xz),
        (b"\x28\xb5\x2f\xfd", Format::Zst),
    ];
    let (_, format) = magics.into_iter().find(|(magic, _)| starts(head, 0, magic))?;
    // "BZh" may also be text, so a block size and the magic number of a block (pi) or of the end (sqrt pi) must follow.
    let is_bzip2 = || {
        head.get(3).is_some_and(|level| (b'1'..=b'9').contains(level))
            && (starts(head, 4, b"1AY&SY") || starts(head, 4, b"\x17\x72\x45\x38\x50\x90"))
    };
    (format != Format::Bz2 || is_bzip2()).then_some(format)
}

/// POSIX.1-1988 ustar and GNU tar. The OVF is the first member of an OVA (DSP0243 section 5.3), so the first names are
/// sufficient.
fn tar(head: &[u8]) -> Option<Format> {
    if !starts(head, 257, b"ustar") {
        return None;
    }
    let mut offset = 0;
    while let Some(header) = head.get(offset..).filter(|rest| rest.len() >= 512 && starts(rest, 257, b"ustar")) {
        let name = header[..100].split(|c| *c == 0).next().unwrap_or_default();
        if name.to_ascii_lowercase().ends_with(b".ovf") {
            return Some(Format::Ova);
        }
        let Some(next) = after(header).and_then(|length| length.checked_add(offset)) else { break };
        offset = next;
    }
    Some(Format::Tar)
}

/// The length of a member with its header, in whole blocks of 512 bytes.
fn after(header: &[u8]) -> Option<usize> {
    let digits = header.get(124..135)?.iter().map(|c| char::from(*c)).collect::<String>();
    let size = u64::from_str_radix(digits.trim_matches([' ', '\0']), 8).ok()?;
    usize::try_from(size.div_ceil(512).checked_add(1)?.checked_mul(512)?).ok()
}

/// ECMA-119 section 8: the first volume descriptor is in sector 16.
fn iso(head: &[u8]) -> Option<Format> {
    starts(head, 0x8001, b"CD001").then_some(Format::Iso)
}

#[cfg(test)]
mod tests;
