//! How much of the volume the operator may take.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blob::read_directory;
use super::error::CacheError;
use super::usage::allocated;
use super::volume::Volume;

/// A quota, with what running downloads will take of it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Quota {
    limit: Option<u64>,
    claims: Arc<Mutex<HashMap<PathBuf, u64>>>,
}

/// The part of a download that runs; given back when dropped, when its bytes are where they count by themselves.
pub(super) struct Claim {
    partial: PathBuf,
    claims: Arc<Mutex<HashMap<PathBuf, u64>>>,
}

/// Why there is no claim.
pub(super) struct Exceeded {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Quota {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, claims: Arc::default() }
    }

    /// Claims `size` bytes for a partial download, what is there of it already included.
    pub(super) fn claim(
        &self,
        volume: &Volume,
        partial: &Path,
        size: u64,
    ) -> Result<Result<Claim, Exceeded>, CacheError> {
        let mut claims = lock(&self.claims);
        if let Some(limit) = self.limit {
            let used = used(volume, partial, &claims)?;
            if used.saturating_add(size) > limit {
                return Ok(Err(Exceeded { used, limit }));
            }
        }
        claims.insert(partial.to_owned(), size);
        Ok(Ok(Claim { partial: partial.to_owned(), claims: self.claims.clone() }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims).remove(&self.partial);
    }
}

fn lock(claims: &Mutex<HashMap<PathBuf, u64>>) -> MutexGuard<'_, HashMap<PathBuf, u64>> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that the operator keeps, with running downloads at their full size; without the one that asks.
fn used(volume: &Volume, asking: &Path, claims: &HashMap<PathBuf, u64>) -> Result<u64, CacheError> {
    let kept = volume.usage()?.parts.into_iter().filter(|part| !["partial", "others"].contains(&part.what));
    let kept: u64 = kept.map(|part| part.bytes).sum();
    let left = read_directory(&volume.path("partial"))?.into_iter().filter(|path| !claims.contains_key(path));
    let left: u64 = left.filter(|path| path != asking).map(|path| allocated(&path)).sum();
    let running: u64 = claims.iter().filter(|(path, _)| *path != asking).map(|(_, size)| size).sum();
    Ok(kept.saturating_add(left).saturating_add(running))
}
