//! The header of a qcow2 (QEMU's docs/interop/qcow2.rst).

use super::Header;
use crate::convert::error::ConvertError;

/// Incompatible features: dirty, corrupt, external data file, compression type, extended second level entries.
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const KNOWN: u64 = 0b1_1111;

/// Header extensions: the end, the name of an external data file, the header of an encrypted disk.
const END: u32 = 0;
const DATA_FILE_NAME: u32 = 0x4441_5441;
const ENCRYPTION: u32 = 0x0537_be77;

/// The cluster sizes that QEMU supports, as powers of two.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// The maximum number of header extensions; an image has three or four.
const MOST_EXTENSIONS: usize = 64;

/// Checks the header and returns the virtual size in bytes.
pub(super) fn inspect(header: &Header<'_>) -> Result<u64, ConvertError> {
    let version = header.big_u32(4, "a version")?;
    if header.big_u64(8, "the offset of a backing file")? != 0 || header.big_u32(16, "its length")? != 0 {
        return Err(header.outside("a backing file"));
    }
    let bits = header.big_u32(20, "the size of a cluster")?;
    if !CLUSTER_BITS.contains(&bits) {
        return Err(header.malformed(format!("expected clusters of 2^9 to 2^21 bytes, found 2^{bits}")));
    }
    if header.big_u32(32, "the method of encryption")? != 0 {
        return Err(ConvertError::Encrypted(header.format));
    }
    let mut length = 72;
    if version >= 3 {
        let features = header.big_u64(72, "incompatible features")?;
        if features & DATA_FILE != 0 {
            return Err(header.outside("an external data file"));
        }
        if features & CORRUPT != 0 || features & !KNOWN != 0 {
            let message =
                format!("expected an image that is not marked corrupt, of known features, found {features:#b}");
            return Err(header.malformed(message));
        }
        length = header.big_u32(100, "the length of the header")?;
        if length < 104 || u64::from(length) > 1 << bits {
            return Err(header.malformed(format!("expected a header of 104 bytes to a cluster, found {length}")));
        }
    }
    extensions(header, u64::from(length), 1 << bits)?;
    header.big_u64(24, "a size")
}

/// Checks the header extensions, which are between the header and the end of the first cluster.
fn extensions(header: &Header<'_>, from: u64, cluster: u64) -> Result<(), ConvertError> {
    let mut offset = from;
    for _ in 0..MOST_EXTENSIONS {
        if offset + 8 > cluster {
            return Ok(());
        }
        let length = u64::from(header.big_u32(offset + 4, "the length of a header extension")?);
        match header.big_u32(offset, "a header extension")? {
            END => return Ok(()),
            DATA_FILE_NAME => return Err(header.outside("an external data file")),
            ENCRYPTION => return Err(ConvertError::Encrypted(header.format)),
            _ => offset += 8 + length.next_multiple_of(8),
        }
    }
    Err(header.malformed(format!("expected at most {MOST_EXTENSIONS} header extensions, found more")))
}
