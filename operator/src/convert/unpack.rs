//! Out of compression and archives: the one disk in a file, streamed to another, in constant memory.
//!
//! One compression around an archive, one archive, one compression around the disk in it: no more. Nothing is ever
//! written by a name that an archive tells; its names are only compared. What comes out is counted all the way, so that
//! a small file that unpacks into a mountain ends at the limit.

mod archive;
mod ovf;
mod stream;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use self::archive::{Archive, Choice};
use self::stream::Stream;
use super::error::ConvertError;
use super::sniff::{self, Format, sniff};

/// Blocks of zeros of this size become holes.
const BLOCK: usize = 64 * 1024;
static ZEROS: [u8; BLOCK] = [0; BLOCK];
/// How much is read before it is written.
const BUFFER: usize = 16 * BLOCK;

/// Asked again and again while something grows.
pub trait Meter {
    /// Whether to go on, now that so many bytes are on the disk. The error says why not.
    fn check(&self, written: u64) -> Result<(), ConvertError>;

    /// So many bytes of a part are done, of so many.
    fn tell(&self, part: Part, bytes: u64, total: u64);
}

/// A part of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Out of compression and archives: bytes of the file that was read.
    Unpack,
    /// Into another format: bytes of the disk.
    Convert,
}

/// What a disk is unpacked from, and how far it may go.
pub(super) struct Package<'a> {
    /// The file.
    pub path: &'a Path,
    /// What it is: compressed, or an archive.
    pub format: Format,
    /// Bytes that may come out.
    pub limit: u64,
    /// Asked on the way.
    pub meter: &'a dyn Meter,
}

/// Whether a disk of this format has to be unpacked first.
pub(super) const fn is_packed(format: Format) -> bool {
    is_compressed(format) || is_archive(format)
}

const fn is_compressed(format: Format) -> bool {
    matches!(format, Format::Gz | Format::Bz2 | Format::Xz | Format::Zst)
}

const fn is_archive(format: Format) -> bool {
    matches!(format, Format::Ova | Format::Tar)
}

/// Unpacks the disk into a new file. `seen` is shown its format, by its first bytes, before anything is written.
/// Gives the names of other disks, which stay where they are.
pub(super) fn unpack(
    package: &Package<'_>,
    to: &Path,
    seen: &dyn Fn(Format) -> Result<(), ConvertError>,
) -> Result<Vec<String>, ConvertError> {
    let inner = if is_compressed(package.format) {
        let mut head = Stream::open(package)?;
        format_of(&first_bytes(&mut head, package.format)?)
    } else {
        package.format
    };
    if is_archive(inner) {
        let choice = archive::choose(Archive::new(Stream::open(package)?, inner))?;
        extract(package, inner, &choice, to, seen)?;
        return Ok(choice.left_out);
    }
    if is_compressed(inner) {
        return Err(ConvertError::NotADisk { found: format!("a {inner} inside a {}", package.format) });
    }
    seen(inner)?;
    copy(&mut Stream::tell(package)?, package, to)?;
    Ok(Vec::new())
}

/// The chosen member, which may be compressed itself.
fn extract(
    package: &Package<'_>,
    archive_format: Format,
    choice: &Choice,
    to: &Path,
    seen: &dyn Fn(Format) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let mut archive = Archive::find(Stream::tell(package)?, archive_format, &choice.member)?;
    let head = first_bytes(&mut archive, archive_format)?;
    let format = format_of(&head);
    let whole = std::io::Cursor::new(head).chain(archive);
    if !is_compressed(format) {
        seen(format)?;
        return copy(&mut { whole }, package, to);
    }
    let mut decoded = Stream::decode(format, Box::new(whole), package)?;
    let head = first_bytes(&mut decoded, format)?;
    let disk = format_of(&head);
    if is_packed(disk) {
        return Err(ConvertError::NotADisk { found: format!("a {disk} inside a {format} inside a {archive_format}") });
    }
    seen(disk)?;
    copy(&mut std::io::Cursor::new(head).chain(decoded), package, to)
}

/// Without the end of the bytes a fixed VHD looks raw; that is seen when all of it is there.
fn format_of(head: &[u8]) -> Format {
    sniff(head, &[], head.len() as u64).format
}

fn first_bytes(from: &mut dyn Read, format: Format) -> Result<Vec<u8>, ConvertError> {
    let mut head = Vec::new();
    from.take(sniff::HEAD as u64).read_to_end(&mut head).map_err(stream::unpack_error(format))?;
    Ok(head)
}

/// Everything that comes, into a new file whose zeros are holes.
fn copy(from: &mut dyn Read, package: &Package<'_>, to: &Path) -> Result<(), ConvertError> {
    let failed = ConvertError::io("write", to);
    let mut file = File::options().write(true).create_new(true).open(to).map_err(&failed)?;
    let mut buffer = vec![0; BUFFER];
    let (mut length, mut written) = (0_u64, 0_u64);
    loop {
        let count = fill(from, &mut buffer).map_err(stream::unpack_error(package.format))?;
        if count == 0 {
            break;
        }
        length += count as u64;
        if length > package.limit {
            return Err(ConvertError::TooLarge { what: "a disk", limit: package.limit, found: "more".to_owned() });
        }
        for block in buffer[..count].chunks(BLOCK) {
            if block == &ZEROS[..block.len()] {
                file.seek(SeekFrom::Current(i64::try_from(block.len()).unwrap_or(i64::MAX))).map_err(&failed)?;
            } else {
                file.write_all(block).map_err(&failed)?;
                written += block.len() as u64;
            }
        }
        package.meter.check(written)?;
    }
    file.set_len(length).map_err(&failed)
}

/// Fills a buffer as far as there is something.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
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

#[cfg(test)]
mod tests;
