//! What shows that the files of an image were changed, without reading them.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::entry::Shelf;
use super::error::CacheError;
use super::name::ImageKey;
use super::version::UNSURE;
use super::volume::Volume;
use super::{blob, learned, right};
use crate::digest::Sha256Digest;
use crate::fs::Stamp;
use crate::imagelist::Sha512Digest;

/// A digest of the stamps of everything on the volume that a pass over an image with one published version reads: its two
/// directories of entries, the blob and its record, and the right to it. What was learned about it is read besides, if its
/// source states a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageStamps(Sha256Digest);

impl ImageStamps {
    /// The digest. Two runs on one machine make the same one.
    pub const fn digest(&self) -> &Sha256Digest {
        &self.0
    }
}

impl Volume {
    /// Opens the directory of the volume, so that many of its files can be looked at fast.
    pub fn open_root(&self) -> Result<File, CacheError> {
        File::open(self.root()).map_err(CacheError::io("open", self.root()))
    }

    /// The stamps of an image whose published version has this SHA-512, with the open directory of the volume. `None` if
    /// its blob or its right is missing, or if something changed so recently that another change may not show.
    pub fn image_stamps(
        &self,
        root: &File,
        key: &ImageKey,
        digest: &Sha512Digest,
    ) -> Result<Option<ImageStamps>, CacheError> {
        let blob = self.blob_path(digest);
        let right = self.state_path(&right::path(&key.namespace, digest)?);
        let needed = [self.shelf_of(Shelf::Endorsed, key), blob::record_path(&blob), blob, right];
        let mut stamps = [None; 5];
        for (stamp, path) in stamps.iter_mut().zip(&needed) {
            *stamp = self.stamp(root, path)?;
            if stamp.is_none() {
                return Ok(None);
            }
        }
        stamps[needed.len()] = self.stamp(root, &self.shelf_of(Shelf::Expired, key))?;
        Ok(proof(&stamps).map(ImageStamps))
    }

    /// A digest of the stamp of what was learned about bytes with a stated SHA-256. `None` if it changed so recently that
    /// another change may not show.
    pub fn learned_stamp(&self, stated: &Sha256Digest) -> Result<Option<Sha256Digest>, CacheError> {
        let path = self.state_path(&learned::path(stated)?);
        Ok(proof(&[Stamp::at(&path).map_err(CacheError::io("look at", &path))?]))
    }

    fn stamp(&self, root: &File, path: &Path) -> Result<Option<Stamp>, CacheError> {
        // As bytes: comparing paths part by part takes longer than the system call.
        let below = path.as_os_str().as_bytes().strip_prefix(self.root().as_os_str().as_bytes());
        let below = below.and_then(|below| below.strip_prefix(b"/")).map(|below| Path::new(OsStr::from_bytes(below)));
        let stamp = below.map_or_else(|| Stamp::at(path), |below| Stamp::below(root, below));
        stamp.map_err(CacheError::io("look at", path))
    }
}

/// The digest of stamps; `None` if one of them is not old enough to be proof.
fn proof(stamps: &[Option<Stamp>]) -> Option<Sha256Digest> {
    let now = Timestamp::now();
    let are_sure = stamps.iter().flatten().all(|stamp| stamp.is_older(UNSURE, now));
    let bytes: Vec<[u8; 56]> = stamps.iter().map(|stamp| stamp.map_or([0; 56], |stamp| stamp.bytes())).collect();
    are_sure.then(|| Sha256Digest::of(bytes.as_flattened()))
}
