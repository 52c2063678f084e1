//! Reads the bytes of an image once: their digests, their number and their format. A file is read in pieces, so that the
//! caller can limit the rate or stop.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use openssl::hash::{Hasher, MessageDigest};

use super::error::CacheError;
use crate::convert::{Sniffed, sniff};
use crate::digest::Sha256Digest;
use crate::fs::open_no_link;
use crate::imagelist::Sha512Digest;

/// The bytes per read.
const PIECE: usize = 1024 * 1024;

/// The digests of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha512: Sha512Digest,
    pub(super) sha1: Option<[u8; 20]>,
    pub(super) sha256: Option<Sha256Digest>,
}

/// The digests that are computed in addition to SHA-512. Each takes at least half as long again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AlsoDigests {
    pub(super) sha1: bool,
    pub(super) sha256: bool,
}

/// The result of reading all bytes once.
#[derive(Debug, Clone)]
pub(super) struct ScanResult {
    pub(super) digests: Digests,
    pub(super) size: u64,
    pub(super) sniffed: Sniffed,
}

/// What is known of bytes that are passed to it in order. The digests are computed with OpenSSL, which is the fastest
/// for images in the benchmark `digest`.
pub(super) struct ByteScan {
    sha512: Hasher,
    sha1: Option<Hasher>,
    sha256: Option<Hasher>,
    head: Vec<u8>,
    size: u64,
}

impl ByteScan {
    /// No bytes yet, of the file at `path`.
    pub(super) fn new(path: &Path, also: AlsoDigests) -> Result<Self, CacheError> {
        let hasher = |kind| Hasher::new(kind).map_err(|error| CacheError::io("hash", path)(error.into()));
        let sha1 = also.sha1.then(|| hasher(MessageDigest::sha1())).transpose()?;
        let sha256 = also.sha256.then(|| hasher(MessageDigest::sha256())).transpose()?;
        let sha512 = hasher(MessageDigest::sha512())?;
        Ok(Self { sha512, sha1, sha256, head: Vec::new(), size: 0 })
    }

    /// The number of bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8], path: &Path) -> Result<(), CacheError> {
        let mut all = [Some(&mut self.sha512), self.sha1.as_mut(), self.sha256.as_mut()].into_iter().flatten();
        let hashed = all.try_for_each(|hasher| hasher.update(bytes));
        hashed.map_err(|error| CacheError::io("hash", path)(error.into()))?;
        let missing = sniff::HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The result. Formats that are recognised by their end are read from the file with all these bytes.
    pub(super) fn finish(&mut self, file: &mut File, path: &Path) -> Result<ScanResult, CacheError> {
        let failed = CacheError::io("read the end of", path);
        let sha512 = finish(&mut self.sha512, path)?;
        let sha1 = self.sha1.as_mut().map(|hasher| finish(hasher, path)).transpose()?;
        let sha256 = self.sha256.as_mut().map(|hasher| finish(hasher, path)).transpose()?;
        file.seek(SeekFrom::Start(self.size.saturating_sub(sniff::TAIL as u64))).map_err(&failed)?;
        let mut tail = Vec::new();
        file.take(sniff::TAIL as u64).read_to_end(&mut tail).map_err(&failed)?;
        let sniffed = sniff::sniff(&self.head, &tail, self.size);
        let digests =
            Digests { sha512: Sha512Digest::from_bytes(sha512), sha1, sha256: sha256.map(Sha256Digest::from_bytes) };
        Ok(ScanResult { digests, size: self.size, sniffed })
    }
}

/// The digest of all bytes; `N` is its length.
fn finish<const N: usize>(hasher: &mut Hasher, path: &Path) -> Result<[u8; N], CacheError> {
    let digest = hasher.finish().map_err(|error| CacheError::io("hash", path)(error.into()))?;
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest);
    Ok(bytes)
}

/// A file that is read once, in constant memory. SHA-512 and SHA-1 are computed.
pub(super) struct FileScan {
    path: PathBuf,
    file: File,
    scan: ByteScan,
    piece: Vec<u8>,
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
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            scan: ByteScan::new(path, AlsoDigests { sha1: true, sha256: false })?,
            piece: vec![0; PIECE],
        }))
    }

    /// Reads the next piece and returns its length, which is 0 at the end.
    pub(super) fn next_chunk(&mut self) -> Result<usize, CacheError> {
        let count = loop {
            match self.file.read(&mut self.piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(CacheError::io("read", &self.path))?,
            }
        };
        self.scan.take(&self.piece[..count], &self.path)?;
        Ok(count)
    }

    /// Returns the result. Must be called after everything was read.
    pub(super) fn finish(&mut self) -> Result<ScanResult, CacheError> {
        self.scan.finish(&mut self.file, &self.path)
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

/// The length of a regular file that the operator made; `None` if there is none. Anything else with that name is an
/// error.
pub(super) fn file_size(path: &Path) -> Result<Option<u64>, CacheError> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => Ok(Some(about.len())),
        Ok(_) => Err(CacheError::Foreign { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CacheError::io("look at", path)(error)),
    }
}

/// Whether two paths lead to the same file.
pub(super) fn same_file(one: &Path, two: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(two)) {
        (Ok(one), Ok(two)) => one.dev() == two.dev() && one.ino() == two.ino(),
        (Ok(_) | Err(_), _) => false,
    }
}
