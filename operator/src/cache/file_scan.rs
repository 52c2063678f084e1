//! Reads a file in pieces, so that the caller can limit the rate or stop.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::digest::{Digests, ImageHasher};
use super::error::CacheError;
use super::file_size::file_size;
use crate::convert::{Sniffed, sniff};
use crate::fs::open_no_link;

/// The bytes per read.
const PIECE: usize = 1024 * 1024;

/// The result of reading all bytes once.
#[derive(Debug, Clone)]
pub(super) struct ScanResult {
    pub(super) digests: Digests,
    pub(super) size: u64,
    pub(super) sniffed: Sniffed,
}

/// A file that is read once, in constant memory.
pub(super) struct FileScan {
    path: PathBuf,
    file: File,
    hasher: ImageHasher,
    head: Vec<u8>,
    piece: Vec<u8>,
    size: u64,
}

impl FileScan {
    /// Opens a file; `None` if there is none.
    pub(super) fn begin(path: &Path) -> Result<Option<Self>, CacheError> {
        if file_size(path)?.is_none() {
            return Ok(None);
        }
        let file = match open_no_link(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("open", path)(error)),
        };
        let hasher = ImageHasher::new().map_err(CacheError::io("hash", path))?;
        let (head, piece) = (Vec::new(), vec![0; PIECE]);
        Ok(Some(Self { path: path.to_owned(), file, hasher, head, piece, size: 0 }))
    }

    /// Reads the next piece and returns its length, which is 0 at the end.
    pub(super) fn next_chunk(&mut self) -> Result<usize, CacheError> {
        let count = loop {
            match self.file.read(&mut self.piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(CacheError::io("read", &self.path))?,
            }
        };
        let bytes = &self.piece[..count];
        self.hasher.update(bytes).map_err(CacheError::io("hash", &self.path))?;
        let missing = sniff::HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..count.min(missing)]);
        self.size += count as u64;
        Ok(count)
    }

    /// Returns the result. Must be called after everything was read.
    pub(super) fn finish(&mut self) -> Result<ScanResult, CacheError> {
        let failed = CacheError::io("read the end of", &self.path);
        let tail = read_tail(&mut self.file, self.size).map_err(&failed)?;
        let sniffed = sniff::sniff(&self.head, &tail, self.size);
        Ok(ScanResult { digests: self.hasher.finish().map_err(&failed)?, size: self.size, sniffed })
    }

    /// Makes the file read-only for everyone.
    pub(super) fn make_read_only(&self) -> std::io::Result<()> {
        self.file.set_permissions(fs::Permissions::from_mode(0o444))
    }

    /// Whether the path still leads to the file that was read.
    pub(super) fn is_still_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::symlink_metadata(path)) {
            (Ok(read), Ok(there)) => (read.dev(), read.ino()) == (there.dev(), there.ino()),
            (Ok(_) | Err(_), _) => false,
        }
    }
}

/// The last bytes of a file of `size` bytes, for formats that are recognised by their end.
pub(super) fn read_tail(file: &mut File, size: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(size.saturating_sub(sniff::TAIL as u64)))?;
    let mut tail = Vec::new();
    file.take(sniff::TAIL as u64).read_to_end(&mut tail)?;
    Ok(tail)
}
