//! The header of VirtualBox's VDI, version 1.1 (block/vdi.c of QEMU).

use super::Header;
use crate::convert::error::ConvertError;

/// Image types: dynamically allocated, fixed size, differences to another image.
const DYNAMIC: u32 = 1;
const FIXED: u32 = 2;
const DIFFERENCING: u32 = 4;

/// Checks the header and returns the virtual size in bytes.
pub(super) fn inspect(header: &Header<'_>) -> Result<u64, ConvertError> {
    let version = header.little_u32(68, "a version")?;
    if version != 0x0001_0001 {
        return Err(header.malformed(format!("expected version 1.1, found {}.{}", version >> 16, version & 0xffff)));
    }
    match header.little_u32(76, "an image type")? {
        DYNAMIC | FIXED => {}
        DIFFERENCING => return Err(header.outside("a parent")),
        other => return Err(header.malformed(format!("expected a dynamic or fixed image, found type {other}"))),
    }
    // The identifiers of the image that this one is linked to, and of its parent.
    for (offset, what) in [(424, "a link"), (440, "a parent")] {
        if header.array::<16>(offset, what)? != [0; 16] {
            return Err(header.outside("a parent"));
        }
    }
    header.little_u64(368, "a size")
}
