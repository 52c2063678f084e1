//! The header of VMware's Virtual Disk Format 1.1, as QEMU reads it (block/vmdk.c): a sparse extent that is the whole
//! disk.

use super::Header;
use crate::convert::error::ConvertError;
use crate::convert::sniff::{Outside, vmdk_outside};

const SECTOR: u64 = 512;
/// Where QEMU searches the name of a parent, whatever the header contains: 20 sectors from the second one on.
const DESCRIPTOR: (u64, usize) = (SECTOR, 20 * 512);
/// The maximum size of an embedded descriptor, in bytes.
const LONGEST_DESCRIPTOR: u64 = 1024 * 1024;
/// The value for a grain directory that is given in a copy of the header at the end, as in a stream-optimised image.
const AT_END: u64 = u64::MAX;

/// Checks the header and returns the virtual size in bytes.
pub(super) fn inspect(header: &Header<'_>) -> Result<u64, ConvertError> {
    if header.read(0, 4, "a header")? != b"KDMV" {
        return Err(header.outside("a descriptor that names other files"));
    }
    let capacity = capacity(header, 0)?;
    if header.little_u64(56, "the grain directory")? == AT_END {
        // The footer and the end-of-stream marker are the last two sectors. The footer takes precedence over the
        // header.
        let footer = header.bytes.size().saturating_sub(2 * SECTOR);
        if header.read(footer, 4, "a footer")? != b"KDMV" || capacity != self::capacity(header, footer)? {
            return Err(header.malformed(format!("expected a footer that repeats the header at {footer}")));
        }
        descriptor_of(header, footer)?;
    }
    descriptor_of(header, 0)?;
    let whole = header.bytes.at(DESCRIPTOR.0, DESCRIPTOR.1);
    let whole = whole.map_err(|error| header.malformed(error.to_string()))?;
    if whole.to_ascii_lowercase().windows(18).any(|text| text == b"parentfilenamehint") {
        return Err(header.outside("a parent"));
    }
    let bytes = capacity.checked_mul(SECTOR);
    bytes.ok_or_else(|| header.malformed(format!("expected a capacity in sectors, found {capacity}")))
}

/// The capacity in sectors. If it is 0, the descriptor names the files of the disk.
fn capacity(header: &Header<'_>, at: u64) -> Result<u64, ConvertError> {
    match header.little_u64(at + 12, "a capacity")? {
        0 => Err(header.outside("a descriptor that names other files")),
        capacity => Ok(capacity),
    }
}

/// Checks the embedded descriptor that a header points to.
fn descriptor_of(header: &Header<'_>, at: u64) -> Result<(), ConvertError> {
    let sectors = header.little_u64(at + 28, "the place of the descriptor")?;
    let length = header.little_u64(at + 36, "the length of the descriptor")?;
    if sectors == 0 {
        return Ok(());
    }
    let (offset, length) = match (sectors.checked_mul(SECTOR), length.checked_mul(SECTOR)) {
        (Some(offset), Some(length)) if length <= LONGEST_DESCRIPTOR => (offset, length),
        _ => return Err(header.malformed(format!("expected a descriptor of at most {LONGEST_DESCRIPTOR} bytes"))),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let text = header.read(offset, length, "a descriptor")?;
    match vmdk_outside(&text) {
        None => Ok(()),
        Some(Outside::BackingFile) => Err(header.outside("a parent")),
        Some(Outside::DataFile | Outside::OtherFormat) => Err(header.outside("a descriptor that names other files")),
    }
}
