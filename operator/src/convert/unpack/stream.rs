//! The decompressed bytes of a file, with a count; the limits, and how progress is reported.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::convert::error::ConvertError;
use crate::convert::sniff::Format;

/// The bytes per read from the disk, before decoding.
const CHUNK: usize = 256 * 1024;
/// The meter is called after this number of bytes.
const ASK_AFTER: u64 = 8 * 1024 * 1024;
/// The memory limits of the xz and zstd decoders. The windows of `xz -9` (64 MiB) and of `zstd --ultra -22` (128 MiB)
/// fit.
const XZ_MEMORY_KIB: u32 = 96 * 1024;
const ZSTD_WINDOW_LOG: u32 = 27;

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

/// A file, or its decoded bytes.
pub(super) struct Stream<'a> {
    source: Source<'a>,
    package: &'a Package<'a>,
    total: u64,
    asked_at: u64,
}

enum Source<'a> {
    Plain(Told<'a>),
    Decoded(Box<dyn Read + 'a>),
}

/// A file that reports how far it was read.
struct Told<'a> {
    file: File,
    meter: Option<&'a dyn Meter>,
    read: u64,
    length: u64,
}

impl<'a> Told<'a> {
    fn open(package: &'a Package<'a>, tells: bool) -> Result<Self, ConvertError> {
        let failed = ConvertError::io("open", package.path);
        let file = File::open(package.path).map_err(&failed)?;
        let length = file.metadata().map_err(&failed)?.len();
        Ok(Self { file, meter: tells.then_some(package.meter), read: 0, length })
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let by = i64::try_from(count).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        self.file.seek(SeekFrom::Current(by))?;
        self.read = self.read.saturating_add(count);
        Ok(())
    }
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read = self.read.saturating_add(count as u64);
        if let Some(meter) = self.meter {
            meter.tell(Part::Unpack, self.read.min(self.length), self.length);
        }
        Ok(count)
    }
}

impl<'a> Stream<'a> {
    /// The decompressed bytes of the package.
    pub(super) fn open(package: &'a Package<'a>) -> Result<Self, ConvertError> {
        Self::of(Told::open(package, false)?, package)
    }

    /// The same, with progress reports to the meter.
    pub(super) fn tell(package: &'a Package<'a>) -> Result<Self, ConvertError> {
        Self::of(Told::open(package, true)?, package)
    }

    fn of(file: Told<'a>, package: &'a Package<'a>) -> Result<Self, ConvertError> {
        if is_compressed(package.format) {
            return Self::decode(package.format, Box::new(file), package);
        }
        Ok(Self { source: Source::Plain(file), package, total: 0, asked_at: 0 })
    }

    /// The decoded bytes of a reader.
    pub(super) fn decode(
        format: Format,
        from: Box<dyn Read + 'a>,
        package: &'a Package<'a>,
    ) -> Result<Self, ConvertError> {
        let from = BufReader::with_capacity(CHUNK, from);
        let decoder: Box<dyn Read + 'a> = match format {
            Format::Gz => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            Format::Bz2 => Box::new(bzip2::bufread::MultiBzDecoder::new(from)),
            Format::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(from, true, XZ_MEMORY_KIB)),
            Format::Zst => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from).map_err(unpack_error(format))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(unpack_error(format))?;
                Box::new(decoder)
            }
            other => return Err(ConvertError::NotADisk { found: format!("a {other} where compression was") }),
        };
        Ok(Self { source: Source::Decoded(decoder), package, total: 0, asked_at: 0 })
    }

    /// Skips bytes. If it skips beyond the end of a plain file, the next read returns nothing.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        match &mut self.source {
            Source::Plain(file) => file.skip(count),
            Source::Decoded(_) => io::copy(&mut self.take(count), &mut io::sink()).map(|_| ()),
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.source {
            Source::Plain(file) => file.read(buffer)?,
            Source::Decoded(decoder) => decoder.read(buffer)?,
        };
        self.total += count as u64;
        let Package { limit, meter, .. } = *self.package;
        if self.total > limit {
            let found = "more".to_owned();
            return Err(io::Error::other(ConvertError::TooLarge { what: "unpacked data", limit, found }));
        }
        if self.total - self.asked_at > ASK_AFTER {
            self.asked_at = self.total;
            meter.check(0).map_err(io::Error::other)?;
        }
        Ok(count)
    }
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

/// Converts the error of a read: an error of an inner stream, or broken data.
pub(super) fn unpack_error(format: Format) -> impl Fn(io::Error) -> ConvertError {
    move |error| match error.downcast::<ConvertError>() {
        Ok(ours) => ours,
        Err(error) => ConvertError::Unpack { format, message: error.to_string() },
    }
}
