//! The free space of a volume, and how much of it is kept free.

use super::error::CacheError;
use super::space::Free;
use super::volume::Volume;

/// The default of the space that is kept free: this fraction of the volume (as a divisor), but at most this number of
/// bytes. It is for records, status and other small files that must still be written when images have filled the
/// volume.
const KEPT: (u64, u64) = (20, 64 * 1024 * 1024);

impl Volume {
    /// The bytes that the user of this process can still write.
    pub fn available(&self) -> Result<u64, CacheError> {
        self.free(Some(0)).map(|free| free.bytes)
    }

    /// The free space. `min_free` bytes of it are kept free; the default is a twentieth of the volume, at most 64 MiB.
    pub fn free(&self, min_free: Option<u64>) -> Result<Free, CacheError> {
        let about = rustix::fs::statvfs(self.root())
            .map_err(|error| CacheError::io("ask for the space of", self.root())(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        let kept = min_free.unwrap_or_else(|| (bytes(about.f_blocks) / KEPT.0).min(KEPT.1));
        Ok(Free { bytes: bytes(about.f_bavail), kept })
    }
}
