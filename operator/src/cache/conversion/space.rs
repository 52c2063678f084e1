//! The limits of a running conversion: time, space, quota, and cancellation.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::part::PartProgress;
use crate::cache::error::CacheError;
use crate::cache::quota::{Claim, Quota};
use crate::cache::space::Free;
use crate::cache::volume::Volume;
use crate::convert::{ConvertError, Meter, Part, Room};
use crate::size::Size;

/// The additional bytes that are claimed when the claim is used up. The decompressed size is not known in advance.
const MORE: u64 = 256 * 1024 * 1024;

/// The limits of one conversion.
pub(super) struct Space<'a> {
    pub volume: &'a Volume,
    pub quota: &'a Quota,
    pub min_free: Option<u64>,
    /// The directory that counts against the quota.
    pub scratch: PathBuf,
    pub began: Instant,
    pub timeout: Duration,
    pub cancelled: &'a CancellationToken,
    pub progress: &'a PartProgress,
    pub claimed: Mutex<Claimed>,
}

/// The claimed bytes, and the bytes that were on the disk before the current step.
#[derive(Default)]
pub(super) struct Claimed {
    claim: Option<Claim>,
    bytes: u64,
    before: u64,
    written: u64,
}

impl Meter for Space<'_> {
    fn tell(&self, part: Part, bytes: u64, total: u64) {
        self.progress.set(part, bytes, total);
    }

    fn check(&self, written: u64) -> Result<(), ConvertError> {
        if self.cancelled.is_cancelled() {
            return Err(ConvertError::Cancelled);
        }
        if self.began.elapsed() > self.timeout {
            return Err(ConvertError::Timeout { after: self.timeout });
        }
        let free = self.free()?;
        if free.bytes < free.kept {
            return Err(no_space(1, free.to_string()));
        }
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.written = claimed.written.max(written);
        let total = claimed.before.saturating_add(written);
        if total > claimed.bytes { self.claim(&mut claimed, total.saturating_add(MORE)) } else { Ok(()) }
    }
}

impl Room for Space<'_> {
    fn take(&self, bytes: u64) -> Result<(), ConvertError> {
        let free = self.free()?;
        if bytes > free.usable() {
            return Err(no_space(bytes, free.to_string()));
        }
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        // The unpacked files stay until the conversion is done.
        (claimed.before, claimed.written) = (claimed.written, 0);
        let total = claimed.before.saturating_add(bytes);
        self.claim(&mut claimed, total)
    }
}

impl Space<'_> {
    fn claim(&self, claimed: &mut Claimed, bytes: u64) -> Result<(), ConvertError> {
        let answer = match &claimed.claim {
            Some(claim) => self.quota.grow(self.volume, claim, bytes),
            None => self.quota.claim(self.volume, &self.scratch, bytes).map(|answer| {
                answer.map(|claim| {
                    claimed.claim = Some(claim);
                })
            }),
        };
        match answer.map_err(|error| convert_error(error, &self.scratch))? {
            Ok(()) => {
                claimed.bytes = bytes;
                Ok(())
            }
            Err(exceeded) => {
                let (used, quota) = (Size(exceeded.used), Size(exceeded.limit));
                Err(no_space(bytes, format!("{used} of the quota of {quota} are in use")))
            }
        }
    }

    fn free(&self) -> Result<Free, ConvertError> {
        self.volume.free(self.min_free).map_err(|error| convert_error(error, &self.scratch))
    }
}

const fn no_space(needed: u64, found: String) -> ConvertError {
    ConvertError::NoSpace { needed, found }
}

/// Converts an error of the volume.
fn convert_error(error: CacheError, path: &Path) -> ConvertError {
    ConvertError::io("find room at", path)(std::io::Error::other(error))
}
