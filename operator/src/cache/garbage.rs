//! What nothing refers to any more.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::error::CacheError;
use super::volume::Volume;
use crate::imagelist::Sha512Digest;

/// What a collection leaves alone, beside everything that an entry refers to.
#[derive(Debug, Clone)]
pub struct Keep {
    /// Blobs that are wanted though no entry refers to them (yet), and partial downloads of them.
    pub digests: BTreeSet<Sha512Digest>,
    /// Blobs that were verified within this time: just fetched, not yet published.
    pub blobs_for: SignedDuration,
    /// Partial downloads that grew within this time.
    pub partials_for: SignedDuration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            digests: BTreeSet::new(),
            blobs_for: SignedDuration::from_hours(1),
            partials_for: SignedDuration::from_hours(7 * 24),
        }
    }
}

/// What a collection removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs.
    pub blobs: Vec<Sha512Digest>,
    /// Partial downloads.
    pub partials: usize,
    /// Bytes of both.
    pub bytes: u64,
}

impl Volume {
    /// Removes blobs that nothing refers to and partial downloads that went stale. What the operator did not make
    /// stays, and so does a blob that has a link which the operator did not make.
    pub fn collect_garbage(&self, _keep: &Keep, _now: Timestamp) -> Result<Collected, CacheError> {
        todo!()
    }
}
