//! What is free on a volume, and what of it stays free.

use std::fmt;

use super::error::CacheError;
use super::volume::Volume;
use crate::size::Size;

/// Of this part of a volume, and of no more than so much, is kept free where nothing else is asked for: for records,
/// status and whatever else has to be written when images have filled it.
const KEPT: (u64, u64) = (20, 64 * 1024 * 1024);

/// Bytes that can still be written by this process' user, and how many of them are kept free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// All of them.
    pub bytes: u64,
    /// Those that downloads and conversions leave.
    pub kept: u64,
}

impl Free {
    /// Bytes that downloads and conversions may take.
    pub const fn usable(self) -> u64 {
        self.bytes.saturating_sub(self.kept)
    }
}

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free, {} kept free by --min-free", Size(self.bytes), Size(self.kept))
    }
}

impl Volume {
    /// Bytes that can still be written by this process' user.
    pub fn available(&self) -> Result<u64, CacheError> {
        self.free(Some(0)).map(|free| free.bytes)
    }

    /// What is free; `min_free` of it is kept so, or a twentieth of the volume and at most 64 MiB.
    pub fn free(&self, min_free: Option<u64>) -> Result<Free, CacheError> {
        let about = rustix::fs::statvfs(self.root())
            .map_err(|error| CacheError::io("ask for the space of", self.root())(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        let kept = min_free.unwrap_or_else(|| (bytes(about.f_blocks) / KEPT.0).min(KEPT.1));
        Ok(Free { bytes: bytes(about.f_bavail), kept })
    }
}
