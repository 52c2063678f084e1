//! Checks the header of a disk image before any other program opens the file: no part of the disk may be in another
//! file.
//!
//! qemu-img opens the files that a header names: a backing file, a data file, the extents of a descriptor. An image
//! that names `/etc/passwd` would be converted into one that contains it. So every field of a format that can name a
//! file is checked here, and unknown features are refused. It reads only through [`Bytes`].

mod qcow2;
mod virtual_pc;
mod vmware;

use std::io;
use std::os::unix::fs::FileExt;

use super::error::ConvertError;
use super::sniff::{self, Format, Sniffed, sniff};

/// Random access to bytes.
pub trait Bytes {
    /// The number of bytes.
    fn size(&self) -> u64;

    /// Up to `length` bytes from an offset on; fewer at the end.
    fn at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

impl Bytes for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        Ok(rest[..length.min(rest.len())].to_vec())
    }
}

/// A file, with the size that it had when it was opened.
#[derive(Debug)]
pub struct FileBytes {
    file: std::fs::File,
    size: u64,
}

impl FileBytes {
    /// The bytes of an open file.
    pub fn new(file: std::fs::File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Bytes for FileBytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// A disk that is completely in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// The format of the file.
    pub format: Format,
    /// The size of the disk in the header, in bytes. qemu-img may compute the size of a VHD from its geometry, some
    /// sectors smaller.
    pub virtual_size: u64,
}

/// Detects the format from the first and last bytes.
pub fn look(bytes: &dyn Bytes) -> io::Result<Sniffed> {
    let tail = bytes.size().saturating_sub(sniff::TAIL as u64);
    Ok(sniff(&bytes.at(0, sniff::HEAD)?, &bytes.at(tail, sniff::TAIL)?, bytes.size()))
}

/// The disk in the bytes. It is an error if it is not complete, not readable by everyone (encrypted), or larger than
/// `limit` bytes.
pub fn inspect(bytes: &dyn Bytes, limit: u64) -> Result<Disk, ConvertError> {
    let found = look(bytes).map_err(|error| malformed(Format::Raw, error.to_string()))?;
    let format = found.format;
    let header = Header { bytes, format };
    let virtual_size = match format {
        Format::Raw => bytes.size(),
        Format::Qcow2 => qcow2::inspect(&header)?,
        Format::Vmdk => vmware::inspect(&header)?,
        Format::Vdi => inspect_vdi(&header)?,
        Format::Vhd => virtual_pc::inspect_vhd(&header)?,
        Format::Vhdx => virtual_pc::inspect_vhdx(&header)?,
        Format::Iso => return Err(ConvertError::NotADisk { found: "the file system of a CD (ISO 9660)".to_owned() }),
        Format::Ova | Format::Tar | Format::Gz | Format::Bz2 | Format::Xz | Format::Zst => {
            return Err(ConvertError::NotADisk { found: format!("a {format} inside") });
        }
    };
    match virtual_size {
        // The header is valid, but other software may recognise the file as another format.
        _ if found.outside.is_some() => {
            Err(ConvertError::NotADisk { found: "an image of a format that is not known here".to_owned() })
        }
        0 => Err(malformed(format, "expected a disk, found one of 0 bytes".to_owned())),
        size if size > limit => Err(ConvertError::TooLarge { what: "a disk", limit, found: size.to_string() }),
        size => Ok(Disk { format, virtual_size: size }),
    }
}

fn malformed(format: Format, message: String) -> ConvertError {
    ConvertError::Malformed { format, message }
}

/// Reads fields of a header. The error at the end of the file contains what was expected.
struct Header<'a> {
    bytes: &'a dyn Bytes,
    format: Format,
}

impl Header<'_> {
    fn read(&self, offset: u64, length: usize, what: &str) -> Result<Vec<u8>, ConvertError> {
        let found = self.bytes.at(offset, length).map_err(|error| self.malformed(format!("{what}: {error}")))?;
        if found.len() < length {
            return Err(self.malformed(format!(
                "expected {what} of {length} bytes at {offset}, found the end of the file at {}",
                self.bytes.size()
            )));
        }
        Ok(found)
    }

    fn big_u32(&self, offset: u64, what: &str) -> Result<u32, ConvertError> {
        Ok(u32::from_be_bytes(self.array(offset, what)?))
    }

    fn big_u64(&self, offset: u64, what: &str) -> Result<u64, ConvertError> {
        Ok(u64::from_be_bytes(self.array(offset, what)?))
    }

    fn little_u16(&self, offset: u64, what: &str) -> Result<u16, ConvertError> {
        Ok(u16::from_le_bytes(self.array(offset, what)?))
    }

    fn little_u32(&self, offset: u64, what: &str) -> Result<u32, ConvertError> {
        Ok(u32::from_le_bytes(self.array(offset, what)?))
    }

    fn little_u64(&self, offset: u64, what: &str) -> Result<u64, ConvertError> {
        Ok(u64::from_le_bytes(self.array(offset, what)?))
    }

    fn array<const N: usize>(&self, offset: u64, what: &str) -> Result<[u8; N], ConvertError> {
        let bytes = self.read(offset, N, what)?;
        bytes.try_into().map_err(|_| self.malformed(format!("expected {what} at {offset}")))
    }

    fn malformed(&self, message: String) -> ConvertError {
        malformed(self.format, message)
    }

    fn outside(&self, found: &'static str) -> ConvertError {
        ConvertError::Outside { format: self.format, found }
    }
}

/// Image types of a VDI: dynamically allocated, fixed size, differences to another image.
const VDI_DYNAMIC: u32 = 1;
const VDI_FIXED: u32 = 2;
const VDI_DIFFERENCING: u32 = 4;

/// Checks the header of VirtualBox's VDI, version 1.1 (block/vdi.c of QEMU), and returns the virtual size in bytes.
fn inspect_vdi(header: &Header<'_>) -> Result<u64, ConvertError> {
    let version = header.little_u32(68, "a version")?;
    if version != 0x0001_0001 {
        return Err(header.malformed(format!("expected version 1.1, found {}.{}", version >> 16, version & 0xffff)));
    }
    match header.little_u32(76, "an image type")? {
        VDI_DYNAMIC | VDI_FIXED => {}
        VDI_DIFFERENCING => return Err(header.outside("a parent")),
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

#[cfg(test)]
mod tests;
