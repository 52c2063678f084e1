//! The limit of what the operator may store on the volume.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::CacheError;
use super::usage::allocated;
use super::volume::Volume;
use crate::fs::read_own_directory;

/// A quota, and the claims of running downloads and conversions. Cheap to clone.
#[derive(Clone)]
pub(super) struct Quota {
    limit: Option<u64>,
    claims: Arc<Mutex<HashMap<PathBuf, u64>>>,
}

/// The part of the quota that a running download or conversion claims. It is released when dropped; by then its bytes
/// are counted as stored files.
pub(super) struct Claim {
    path: PathBuf,
    claims: Arc<Mutex<HashMap<PathBuf, u64>>>,
}

/// The quota is exceeded.
pub(super) struct Exceeded {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Quota {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, claims: Arc::default() }
    }

    /// Whether a claim waits for the disk, because what is stored is counted.
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Claims `size` bytes for a partial download or for a conversion's directory, including the bytes that already
    /// exist.
    pub(super) fn claim(&self, volume: &Volume, path: &Path, size: u64) -> Result<Result<Claim, Exceeded>, CacheError> {
        let claimed = self.set(volume, path, size)?;
        Ok(claimed.map(|()| Claim { path: path.to_owned(), claims: self.claims.clone() }))
    }

    /// Changes the size of a claim.
    pub(super) fn grow(&self, volume: &Volume, claim: &Claim, size: u64) -> Result<Result<(), Exceeded>, CacheError> {
        self.set(volume, &claim.path, size)
    }

    fn set(&self, volume: &Volume, path: &Path, size: u64) -> Result<Result<(), Exceeded>, CacheError> {
        let mut claims = lock(&self.claims);
        if let Some(limit) = self.limit {
            let used = used(volume, path, &claims)?;
            if used.saturating_add(size) > limit {
                return Ok(Err(Exceeded { used, limit }));
            }
        }
        claims.insert(path.to_owned(), size);
        Ok(Ok(()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims).remove(&self.path);
    }
}

fn lock(claims: &Mutex<HashMap<PathBuf, u64>>) -> MutexGuard<'_, HashMap<PathBuf, u64>> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that the operator stores, with running downloads and conversions at their full size, except for the one
/// at `asking`.
fn used(volume: &Volume, asking: &Path, claims: &HashMap<PathBuf, u64>) -> Result<u64, CacheError> {
    let kept = volume.usage()?.parts.into_iter().filter(|part| !["partial", "scratch", "others"].contains(&part.what));
    let kept: u64 = kept.map(|part| part.bytes).sum();
    let in_work = [read_own_directory(&volume.path("partial"))?, read_own_directory(&volume.path("scratch"))?];
    let left = in_work.into_iter().flatten().filter(|path| path != asking && !claims.contains_key(path));
    let left: u64 = left.map(|path| allocated(&path)).sum();
    let running: u64 = claims.iter().filter(|(path, _)| *path != asking).map(|(_, size)| size).sum();
    Ok(kept.saturating_add(left).saturating_add(running))
}
