//! The headers of VHD (Microsoft's Virtual Hard Disk Image Format Specification 1.0) and VHDX (MS-VHDX).

use super::Header;
use crate::convert::error::ConvertError;

/// Disk types of a VHD.
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// Checks the header of a VHD and returns the virtual size in bytes.
pub(super) fn inspect_vhd(header: &Header<'_>) -> Result<u64, ConvertError> {
    let last = header.bytes.size().saturating_sub(512);
    let at_start = header.read(0, 8, "a footer")? == b"conectix";
    let footer = if at_start { 0 } else { last };
    match header.big_u32(footer + 60, "a disk type")? {
        FIXED => {}
        DYNAMIC => {
            let dynamic = header.big_u64(footer + 16, "the place of the dynamic header")?;
            if header.read(dynamic, 8, "a dynamic header")? != b"cxsparse" {
                return Err(header.malformed(format!("expected a dynamic header at {dynamic}")));
            }
            if header.array::<16>(dynamic.saturating_add(40), "a parent")? != [0; 16] {
                return Err(header.outside("a parent"));
            }
        }
        DIFFERENCING => return Err(header.outside("a parent")),
        other => return Err(header.malformed(format!("expected a fixed or dynamic disk, found type {other}"))),
    }
    header.big_u64(footer + 48, "a size")
}

/// MS-VHDX 2.2.3: two region tables; 2.6: the metadata region. GUIDs as they are stored on the disk.
const REGION_TABLES: [u64; 2] = [192 * 1024, 256 * 1024];
const METADATA_REGION: [u8; 16] = *b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
const FILE_PARAMETERS: [u8; 16] = *b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b";
const VIRTUAL_DISK_SIZE: [u8; 16] = *b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8";
const PARENT_LOCATOR: [u8; 16] = *b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";
const HAS_PARENT: u32 = 1 << 1;
/// The maximum number of entries in either table in MS-VHDX.
const MOST_ENTRIES: u32 = 2047;

/// Checks the header of a VHDX and returns the virtual size in bytes. Both region tables are checked, because a program
/// may use either.
pub(super) fn inspect_vhdx(header: &Header<'_>) -> Result<u64, ConvertError> {
    let mut size = None;
    for table in REGION_TABLES {
        if header.read(table, 4, "a region table")? == b"regi" {
            let found = metadata(header, region(header, table)?)?;
            if size.is_some_and(|size| size != found) {
                return Err(header.malformed("expected two region tables that agree".to_owned()));
            }
            size = Some(found);
        }
    }
    size.ok_or_else(|| header.malformed("expected a region table, found none".to_owned()))
}

/// The offset of the metadata region.
fn region(header: &Header<'_>, table: u64) -> Result<u64, ConvertError> {
    let count = header.little_u32(table + 8, "the number of regions")?.min(MOST_ENTRIES);
    for entry in (0..u64::from(count)).map(|number| table + 16 + 32 * number) {
        if header.array::<16>(entry, "a region")? == METADATA_REGION {
            return header.little_u64(entry + 16, "the place of the metadata");
        }
    }
    Err(header.malformed("expected a metadata region, found none".to_owned()))
}

fn metadata(header: &Header<'_>, region: u64) -> Result<u64, ConvertError> {
    if header.read(region, 8, "the metadata")? != b"metadata" {
        return Err(header.malformed(format!("expected metadata at {region}")));
    }
    let count = u32::from(header.little_u16(region + 10, "the number of items")?).min(MOST_ENTRIES);
    let mut size = None;
    for entry in (0..u64::from(count)).map(|number| region + 32 + 32 * number) {
        let item = header.array::<16>(entry, "an item")?;
        let at = region.saturating_add(header.little_u32(entry + 16, "the place of an item")?.into());
        if item == PARENT_LOCATOR {
            return Err(header.outside("a parent"));
        }
        if item == FILE_PARAMETERS && header.little_u32(at.saturating_add(4), "file parameters")? & HAS_PARENT != 0 {
            return Err(header.outside("a parent"));
        }
        if item == VIRTUAL_DISK_SIZE {
            size = Some(header.little_u64(at, "a size")?);
        }
    }
    size.ok_or_else(|| header.malformed("expected a size among the metadata, found none".to_owned()))
}
