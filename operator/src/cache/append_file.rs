//! A file that only grows, written past the page cache where the file system allows it.
//!
//! Bytes that go through the page cache are copied once more, and wait there until the kernel writes them back. Then the
//! last sync takes as long as the disk needs for all that waits. With direct writes (`O_DIRECT`, open(2)) the disk works
//! while the bytes come. Neither is durable before `fsync`.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags, fadvise, fcntl_getfl, fcntl_setfl, statx};

use super::block::ALIGNMENT;
use super::error::CacheError;

/// Bytes in the page cache after which the kernel is asked to begin to write them, where writes are not direct.
const WRITE_BACK: u64 = 8 << 20;

/// A file that is open for appending. Its length is counted here.
pub(super) struct AppendFile {
    file: File,
    path: PathBuf,
    length: u64,
    /// Whether the file system takes direct writes.
    takes_direct: bool,
    /// Whether writes are direct now.
    is_direct: bool,
    /// The bytes that the kernel was asked to write.
    written_back: u64,
}

impl AppendFile {
    /// A file that is open for reading and appending.
    pub(super) fn new(file: File, path: &Path) -> Result<Self, CacheError> {
        let length = file.metadata().map_err(CacheError::io("look at", path))?.len();
        let takes_direct = takes_direct(&file);
        Ok(Self { file, path: path.to_owned(), length, takes_direct, is_direct: false, written_back: length })
    }

    /// The number of bytes in it.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The open file for reading, wherever its position is.
    pub(super) fn reader(&mut self) -> Result<&mut File, CacheError> {
        self.write_directly(false).map_err(CacheError::io("read", &self.path))?;
        Ok(&mut self.file)
    }

    /// Cuts it to so many bytes.
    pub(super) fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        (self.length, self.written_back) = (length, length);
        Ok(())
    }

    /// Appends bytes. If it fails, `length` still is the number of bytes that are in the file.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let direct = self.direct_part(rest);
            let written = self.write_directly(direct > 0).and_then(|()| {
                let part = if direct > 0 { &rest[..direct] } else { rest };
                self.file.write(part)
            });
            match written {
                Ok(0) => return Err(CacheError::io("write", &self.path)(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.length += count as u64;
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Some file systems take the flag and refuse the write.
                Err(error)
                    if direct > 0 && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
                {
                    self.takes_direct = false;
                }
                Err(error) => return Err(CacheError::io("write", &self.path)(error)),
            }
        }
        self.write_back();
        Ok(())
    }

    /// How many of the bytes can be written directly.
    fn direct_part(&self, bytes: &[u8]) -> usize {
        let begins_well = self.length.is_multiple_of(ALIGNMENT as u64) && bytes.as_ptr().align_offset(ALIGNMENT) == 0;
        if self.takes_direct && begins_well { bytes.len() - bytes.len() % ALIGNMENT } else { 0 }
    }

    fn write_directly(&mut self, direct: bool) -> io::Result<()> {
        if self.is_direct != direct {
            let flags = fcntl_getfl(&self.file)?;
            let set = if direct { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT };
            fcntl_setfl(&self.file, set)?;
            self.is_direct = direct;
        }
        Ok(())
    }

    /// Asks the kernel to begin to write what is in the page cache, so that the last sync is short. This is only advice:
    /// `POSIX_FADV_DONTNEED` starts the writing and does not wait for it.
    fn write_back(&mut self) {
        let waiting = self.length - self.written_back;
        if self.takes_direct || waiting < WRITE_BACK {
            return;
        }
        if let Err(error) = fadvise(&self.file, self.written_back, NonZeroU64::new(waiting), Advice::DontNeed) {
            tracing::debug!(path = %self.path.display(), %error, "the kernel writes it when it likes");
        }
        self.written_back = self.length;
    }
}

/// Whether direct writes of [`ALIGNMENT`] are possible (`STATX_DIOALIGN`, Linux 6.1). Network file systems do not say it;
/// there each direct write would wait for the server.
pub(super) fn takes_direct(file: &File) -> bool {
    let told = statx(file.as_fd(), "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN);
    let fits = |alignment: u32| alignment > 0 && ALIGNMENT.is_multiple_of(alignment as usize);
    told.is_ok_and(|told| fits(told.stx_dio_mem_align) && fits(told.stx_dio_offset_align))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;
    use crate::cache::block::Block;

    fn open(path: &Path) -> AppendFile {
        let file = File::options().read(true).append(true).create(true).open(path).unwrap();
        AppendFile::new(file, path).unwrap()
    }

    #[test]
    fn pieces_of_any_length_come_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut file = open(&path);
        let mut rest = bytes.as_slice();
        for length in [1, 4095, 4096, 8192, 5000, 1 << 20, 3192, 1 << 20, 12, 1 << 20].into_iter().cycle() {
            let (piece, after) = rest.split_at(length.min(rest.len()));
            let mut block = Block::new(piece.len());
            assert_eq!(block.fill(piece), piece.len());
            file.append(block.bytes()).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(file.length(), bytes.len() as u64);
        let mut read = Vec::new();
        let reader = file.reader().unwrap();
        reader.rewind().unwrap();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        file.truncate(4096).unwrap();
        file.append(b"end").unwrap();
        drop(file);
        let whole = std::fs::read(&path).unwrap();
        assert!(whole.len() == 4099 && whole[..4096] == bytes[..4096] && whole.ends_with(b"end"));
        assert_eq!(open(&path).length(), 4099);
    }
}
