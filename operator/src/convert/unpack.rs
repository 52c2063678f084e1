//! Extracts the disk from compressed files and archives, as a stream to another file, in constant memory.
//!
//! At most one compression around an archive, one archive, and one compression around the disk in it are supported.
//! Names in an archive are only compared, and never used as paths. The output is counted all the time, so that a small
//! file that unpacks to a very large one is stopped at the limit.

mod archive;
mod ovf;
mod stream;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use self::archive::Archive;
use self::ovf::Choice;
pub(super) use self::stream::Package;
pub use self::stream::{Meter, Part};
use self::stream::{Stream, fill, is_compressed};
use super::error::ConvertError;
use super::sniff::{self, Format, sniff};

/// Blocks of zeros of this size become holes.
const BLOCK: usize = 64 * 1024;
static ZEROS: [u8; BLOCK] = [0; BLOCK];
/// The bytes that are read before they are written.
const BUFFER: usize = 16 * BLOCK;

/// Whether this format has to be unpacked first.
pub(super) const fn is_packed(format: Format) -> bool {
    is_compressed(format) || is_archive(format)
}

const fn is_archive(format: Format) -> bool {
    matches!(format, Format::Ova | Format::Tar)
}

/// Unpacks the disk into a new file. `seen` is called with the disk's format, detected from its first bytes, before
/// anything is written. Returns the names of other disks, which are not unpacked.
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

/// Extracts the chosen member, which may be compressed itself.
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

/// The format from the first bytes only. A fixed VHD looks raw here; it is detected again when it is complete.
fn format_of(head: &[u8]) -> Format {
    sniff(head, &[], head.len() as u64).format
}

fn first_bytes(from: &mut dyn Read, format: Format) -> Result<Vec<u8>, ConvertError> {
    let mut head = Vec::new();
    from.take(sniff::HEAD as u64).read_to_end(&mut head).map_err(stream::unpack_error(format))?;
    Ok(head)
}

/// Copies everything into a new file. Zeros become holes.
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

#[cfg(test)]
mod tests;
