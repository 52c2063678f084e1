//! The input of unpacking, its limits, and how its progress is reported.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::convert::error::ConvertError;
use crate::convert::sniff::Format;

/// Called regularly while data is written.
pub trait Meter {
    /// Checks whether to continue, with the number of bytes on the disk. The error is the reason to stop.
    fn check(&self, written: u64) -> Result<(), ConvertError>;

    /// Reports the progress: `bytes` of the `total` bytes of a part are done.
    fn tell(&self, part: Part, bytes: u64, total: u64);
}

/// A part of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Unpacking. The progress is in bytes of the input file.
    Unpack,
    /// Conversion to another format. The progress is in bytes of the disk.
    Convert,
}

/// The input and the limits of unpacking.
pub(in crate::convert) struct Package<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its format: compressed, or an archive.
    pub format: Format,
    /// The maximum number of bytes in the output.
    pub limit: u64,
    /// Called regularly.
    pub meter: &'a dyn Meter,
}

pub(super) const fn is_compressed(format: Format) -> bool {
    matches!(format, Format::Gz | Format::Bz2 | Format::Xz | Format::Zst)
}

/// Fills a buffer, or reads to the end.
pub(super) fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
