//! Adoption: files that another program downloaded become blobs, without another download.
//!
//! Neither the name of a file nor what another program wrote about it is trusted. The file is copied into the volume and
//! hashed in one pass, and only the computed digest counts. Where the file system can share blocks, the copy is a clone:
//! it takes no space, and later changes of the file do not change it. An adopted blob is published only if a verified
//! list wants it, as every other.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::ioctl_ficlone;

use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::file_scan::{AlsoDigests, ByteScan, ScanResult, file_size};
use super::name::SafeName;
use super::volume::Volume;
use crate::fs::{make_in, open_no_link};
use crate::imagelist::Sha512Digest;

/// The bytes per read.
const PIECE: usize = 1024 * 1024;

/// What may be adopted, for whom, and for how long it stays unused.
#[derive(Debug, Clone, Copy)]
pub struct Adoption<'a> {
    /// The namespace that gets a right to the blobs.
    pub namespace: &'a SafeName,
    /// The digests that are wanted. Files with another one are left alone.
    pub wanted: &'a BTreeSet<Sha512Digest>,
    /// How long the garbage collection keeps a blob that nothing refers to yet.
    pub kept_for: SignedDuration,
    /// The bytes that stay free on the volume. `None` means a twentieth of it, at most 64 MiB.
    pub min_free: Option<u64>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// Its bytes are a blob.
    Taken(VerifiedBlob),
    /// Nothing wants bytes with this digest. Nothing was changed.
    Unwanted(Sha512Digest),
}

impl Volume {
    /// Copies a file into the volume, if its computed digest is wanted. The file itself is not changed. If the program is
    /// killed, the next one that opens the volume removes the incomplete copy.
    ///
    /// Fails if the file is not a regular file, or if its bytes do not fit on the volume. If it is changed while it is read,
    /// the digest is that of the bytes in the volume.
    pub fn adopt(&self, file: &Path, adoption: &Adoption<'_>, now: Timestamp) -> Result<Adopted, CacheError> {
        let Some(size) = file_size(file)? else { return Err(CacheError::Gone(file.to_owned())) };
        let free = self.free(adoption.min_free)?;
        let mut source = open_no_link(file).map_err(CacheError::io("open", file))?;
        // Next to the partial downloads: from there a rename leads to the blobs.
        let folder = self.path("partial");
        self.prepare(&folder.join("adopted"))?;
        self.step("adopt: open");
        let named = make_in(&folder, |path| File::options().read(true).write(true).create_new(true).open(path));
        let mut copy = named.map_err(CacheError::io("make a file in", &folder))?;
        let path = copy.path().to_owned();
        let cloned = ioctl_ficlone(copy.as_file(), &source).is_ok();
        if !cloned && size > free.usable() {
            return Err(CacheError::NoSpace { path: file.to_owned(), needed: size, free });
        }
        self.step("adopt: copy");
        let seen = if cloned {
            scan(copy.as_file_mut(), &path, None)?
        } else {
            scan(&mut source, file, Some((copy.as_file_mut(), &path)))?
        };
        if !adoption.wanted.contains(&seen.digests.sha512) {
            return Ok(Adopted::Unwanted(seen.digests.sha512));
        }
        let blob = self.add_blob(&path, &seen, now)?;
        self.step("adopt: right");
        self.grant_for(adoption.namespace, &blob, (now, adoption.kept_for))?;
        Ok(Adopted::Taken(blob))
    }
}

/// Reads a file to its end, hashes it, and writes what it reads to `copy`. At most as many bytes are read as the file had
/// when it was opened, so a file that grows has an end.
fn scan(file: &mut File, path: &Path, mut copy: Option<(&mut File, &Path)>) -> Result<ScanResult, CacheError> {
    let most = file.metadata().map_err(CacheError::io("look at", path))?.len();
    let mut scan = ByteScan::new(path, AlsoDigests::default())?;
    let mut piece = vec![0; PIECE];
    file.rewind().map_err(CacheError::io("read", path))?;
    let mut rest = (&mut *file).take(most);
    loop {
        let count = match rest.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(CacheError::io("read", path)(error)),
        };
        scan.take(&piece[..count], path)?;
        if let Some((copy, to)) = &mut copy {
            copy.write_all(&piece[..count]).map_err(CacheError::io("write", to))?;
        }
    }
    match copy {
        Some((copy, to)) => scan.finish(copy, to),
        None => scan.finish(file, path),
    }
}
