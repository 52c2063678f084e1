//! POSIX.1-1988 ustar, POSIX.1-2001 pax and GNU tar, read as a stream.
//!
//! No library is used, because the existing ones read a long name or a pax header into memory whatever its length, and
//! in a compressed archive an attacker can make it very long at no cost.

use std::io::{self, Read};

use super::ovf::{self, Choice};
use super::stream::{Stream, fill, unpack_error};
use crate::convert::error::ConvertError;
use crate::convert::sniff::Format;

const BLOCK: u64 = 512;
/// The maximum length of a path.
const LONGEST_NAME: u64 = 4096;
const LONGEST_PAX_HEADER: u64 = 64 * 1024;
const LONGEST_OVF: u64 = 4 * 1024 * 1024;
const MOST_MEMBERS: usize = 10_000;
/// The maximum number of names in a message.
const MOST_TOLD: usize = 8;

/// An archive that is read once. Reads return the bytes of the current member.
pub(super) struct Archive<'a> {
    stream: Stream<'a>,
    format: Format,
    /// The remaining bytes of the current member, and the padding after it.
    left: u64,
    padding: u64,
    members: usize,
}

/// A regular file in an archive.
struct Member {
    name: String,
    size: u64,
}

/// The disk that the OVF boots from; without an OVF, the only file.
pub(super) fn choose(mut archive: Archive<'_>) -> Result<Choice, ConvertError> {
    let mut names = Vec::new();
    while let Some(member) = archive.next()? {
        if !member.name.to_ascii_lowercase().ends_with(".ovf") {
            names.push(member.name);
            continue;
        }
        if member.size > LONGEST_OVF {
            return Err(
                archive.broken(format!("expected an OVF of at most {LONGEST_OVF} bytes, found {}", member.size))
            );
        }
        let mut text = String::new();
        archive.read_to_string(&mut text).map_err(unpack_error(archive.format))?;
        return ovf::choose(&text).map_err(|message| archive.broken(format!("{}: {message}", member.name)));
    }
    match names.as_slice() {
        [member] => Ok(Choice { member: member.clone(), left_out: Vec::new() }),
        [] => Err(ConvertError::NotADisk { found: "an archive without a file".to_owned() }),
        many => {
            let told: Vec<_> = many.iter().take(MOST_TOLD).map(|name| format!("{name:?}")).collect();
            let found = format!("an archive with {} files and no OVF: {}", many.len(), told.join(", "));
            Err(ConvertError::NotADisk { found })
        }
    }
}

impl<'a> Archive<'a> {
    /// Opens an archive, before its first member.
    pub(super) fn new(stream: Stream<'a>, format: Format) -> Self {
        Self { stream, format, left: 0, padding: 0, members: 0 }
    }

    /// Opens an archive at the first byte of a member.
    pub(super) fn find(stream: Stream<'a>, format: Format, name: &str) -> Result<Self, ConvertError> {
        let mut archive = Self::new(stream, format);
        while let Some(member) = archive.next()? {
            if member.name == name {
                return Ok(archive);
            }
        }
        Err(archive.broken(format!("expected the file {name:?} that the OVF names, found none")))
    }

    /// The next regular file.
    fn next(&mut self) -> Result<Option<Member>, ConvertError> {
        let mut pax = Pax::default();
        loop {
            self.stream.skip(self.left + self.padding).map_err(unpack_error(self.format))?;
            (self.left, self.padding) = (0, 0);
            let Some(header) = self.header()? else { return Ok(None) };
            let size =
                number(&header[124..136]).ok_or_else(|| self.broken("expected a size in a header".to_owned()))?;
            self.enter(pax.size.filter(|_| is_file(header[156])).unwrap_or(size))?;
            match header[156] {
                b'L' => pax.name = Some(self.text(LONGEST_NAME)?.trim_end_matches('\0').to_owned()),
                b'x' => pax.take(&self.text(LONGEST_PAX_HEADER)?).map_err(|message| self.broken(message))?,
                b'S' => return Err(self.broken("expected no sparse file, found one".to_owned())),
                kind if is_file(kind) => {
                    let name = pax.name.take().unwrap_or_else(|| name(&header));
                    return Ok(Some(Member { name: name.trim_start_matches("./").to_owned(), size: self.left }));
                }
                // Directories, links and devices are skipped. A global header and a long link name do not affect files.
                b'K' | b'g' => {}
                _ => pax = Pax::default(),
            }
        }
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<[u8; 512]>, ConvertError> {
        self.members += 1;
        if self.members > MOST_MEMBERS {
            return Err(self.broken(format!("expected at most {MOST_MEMBERS} members, found more")));
        }
        let mut header = [0; 512];
        let count = fill(&mut self.stream, &mut header).map_err(unpack_error(self.format))?;
        if count == 0 || header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        // The checksum is computed with spaces in its own field.
        let own: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
        if count < header.len() || number(&header[148..156]) != Some(sum - own + 8 * u64::from(b' ')) {
            return Err(self.broken("expected the header of a member, found something else".to_owned()));
        }
        Ok(Some(header))
    }

    fn enter(&mut self, size: u64) -> Result<(), ConvertError> {
        let whole = size.checked_next_multiple_of(BLOCK).filter(|whole| *whole <= i64::MAX.unsigned_abs());
        let whole = whole.ok_or_else(|| self.broken(format!("expected the size of a file, found {size}")))?;
        (self.left, self.padding) = (size, whole - size);
        Ok(())
    }

    /// The current member as text; an error if it is longer than `longest`.
    fn text(&mut self, longest: u64) -> Result<String, ConvertError> {
        if self.left > longest {
            return Err(self.broken(format!("expected at most {longest} bytes of a name, found {}", self.left)));
        }
        let mut text = String::new();
        self.read_to_string(&mut text).map_err(unpack_error(self.format))?;
        Ok(text)
    }

    fn broken(&self, message: String) -> ConvertError {
        ConvertError::Unpack { format: self.format, message }
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.stream.read(&mut buffer[..most])?;
        if count == 0 {
            let message = format!("expected {} bytes more, found the end", self.left);
            return Err(io::Error::other(ConvertError::Unpack { format: self.format, message }));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// The fields of an extended header for the next file.
#[derive(Default)]
pub(super) struct Pax {
    pub name: Option<String>,
    pub size: Option<u64>,
}

impl Pax {
    /// Parses records `<length> <key>=<value>\n`.
    pub(super) fn take(&mut self, text: &str) -> Result<(), String> {
        let mut rest = text;
        while !rest.trim_end_matches('\0').is_empty() {
            let record = rest.split_once(' ').and_then(|(length, _)| rest.get(..length.parse().ok()?));
            let record = record.filter(|record| !record.is_empty()).ok_or("expected a pax record")?;
            rest = &rest[record.len()..];
            let pair = record.split_once(' ').and_then(|(_, pair)| pair.trim_end_matches('\n').split_once('='));
            match pair.ok_or("expected a pax record")? {
                ("path", value) => self.name = Some(value.to_owned()),
                ("size", value) => self.size = Some(value.parse().map_err(|_| "expected a size in a pax record")?),
                (key, _) if key.starts_with("GNU.sparse") => {
                    return Err("expected no sparse file, found one".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

const fn is_file(kind: u8) -> bool {
    matches!(kind, b'0' | 0 | b'7')
}

/// A number in octal digits, or in base 256 if the first bit is set (GNU).
pub(super) fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let mut bytes = field.iter().enumerate().map(|(index, byte)| if index == 0 { byte & 0x7f } else { *byte });
        return bytes.try_fold(0_u64, |sum, byte| sum.checked_mul(256)?.checked_add(byte.into()));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The name in a header. In ustar it has a prefix; GNU tar has other fields in its place.
fn name(header: &[u8; 512]) -> String {
    let text =
        |field: &[u8]| String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    let is_posix = header[257..263] == *b"ustar\0";
    if is_posix && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}
