//! What shows that the files of an image were changed, without reading them.

use std::path::PathBuf;

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

/// The stamps of everything on the volume that a pass over an image with one published version reads: its two
/// directories of entries, the blob and its record, the right to it, and what was learned about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageStamps([Option<Stamp>; 6]);

impl ImageStamps {
    /// All of them as bytes, for a digest.
    pub fn bytes(&self) -> impl Iterator<Item = [u8; 56]> {
        self.0.iter().map(|stamp| stamp.map_or([0; 56], |stamp| stamp.bytes()))
    }
}

impl Volume {
    /// The stamps of an image whose published version has this SHA-512, and this SHA-256 if its source states one. `None`
    /// if its blob or its right is missing, or if something changed so recently that another change may not show.
    pub fn image_stamps(
        &self,
        key: &ImageKey,
        digest: &Sha512Digest,
        stated: Option<&Sha256Digest>,
    ) -> Result<Option<ImageStamps>, CacheError> {
        let blob = self.blob_path(digest);
        let right = self.state_path(&right::path(&key.namespace, digest)?);
        let learned = stated.map(learned::path).transpose()?.map(|learned| self.state_path(&learned));
        let needed = [self.shelf_of(Shelf::Endorsed, key), blob::record_path(&blob), blob, right];
        let others = [Some(self.shelf_of(Shelf::Expired, key)), learned];
        let at = |path: &PathBuf| Stamp::at(path).map_err(CacheError::io("look at", path));
        let mut stamps = [None; 6];
        for (stamp, path) in stamps.iter_mut().zip(&needed) {
            *stamp = at(path)?;
            if stamp.is_none() {
                return Ok(None);
            }
        }
        for (stamp, path) in stamps[needed.len()..].iter_mut().zip(&others) {
            *stamp = path.as_ref().map(at).transpose()?.flatten();
        }
        let now = Timestamp::now();
        let is_sure = stamps.iter().flatten().all(|stamp| stamp.is_older(UNSURE, now));
        Ok(is_sure.then_some(ImageStamps(stamps)))
    }
}
