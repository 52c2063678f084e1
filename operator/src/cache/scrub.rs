//! Scrubbing: every blob is read again at intervals, at a limited rate, to find bytes that changed on the disk.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bandwidth::Bandwidth;
use super::blob::BlobCheck;
use super::error::CacheError;
use super::file_scan::FileScan;
use super::volume::Volume;
use crate::imagelist::Sha512Digest;

/// The longest sleep between two checks of what is due. New blobs may be added, and the clock may be changed.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_hours(1);

/// The wait after an error of the volume.
const AFTER_TROUBLE: Duration = Duration::from_mins(1);

/// The operation, in errors of the volume.
const SCRUB: &str = "scrub";

/// Settings of scrubbing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubSettings {
    /// Each blob is verified again when its last verification is this old.
    pub interval: SignedDuration,
    /// The maximum rate in bytes per second; `None` means no limit.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Default for ScrubSettings {
    /// Every 7 days, at 64 MiB per second.
    fn default() -> Self {
        Self { interval: SignedDuration::from_hours(7 * 24), bytes_per_second: NonZeroU64::new(64 * 1024 * 1024) }
    }
}

/// A blob whose bytes have changed. It is in quarantine, without links, and has to be fetched again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoiled {
    /// The expected digest.
    pub expected: Sha512Digest,
    /// The digest of the changed bytes.
    pub found: Sha512Digest,
    /// The number of bytes.
    pub size: u64,
    /// When the change was found.
    pub time: Timestamp,
}

/// The task that scrubs a volume. The times of the last verification are in the records of the blobs, so it continues
/// after a restart.
pub struct Scrub {
    spoiled: Arc<Mutex<Vec<Spoiled>>>,
    changed: watch::Sender<u64>,
    cancelled: CancellationToken,
    task: JoinHandle<()>,
}

/// The blobs to verify now, the oldest verification first, and the time until more are due. Pure.
fn due(
    verified: &[(Timestamp, Sha512Digest)],
    interval: SignedDuration,
    now: Timestamp,
) -> (Vec<Sha512Digest>, SignedDuration) {
    let left = |time: Timestamp| interval - now.duration_since(time);
    let mut oldest_first = verified.to_vec();
    oldest_first.sort_unstable();
    let is_due = |entry: &&(Timestamp, Sha512Digest)| left(entry.0) <= SignedDuration::ZERO;
    let now_due: Vec<Sha512Digest> = oldest_first.iter().filter(is_due).map(|(_, digest)| *digest).collect();
    // The blobs that are verified now are due again after the interval, which is later than all others.
    let next = oldest_first.iter().map(|(time, _)| left(*time)).find(|left| *left > SignedDuration::ZERO);
    let next = next.or_else(|| (!now_due.is_empty()).then_some(interval));
    (now_due, next.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP))
}

impl Scrub {
    /// Starts scrubbing. Must be called within a tokio runtime.
    pub fn start(volume: Volume, settings: ScrubSettings) -> Self {
        let (changed, _) = watch::channel(0);
        let (spoiled, cancelled) = (Arc::<Mutex<Vec<Spoiled>>>::default(), CancellationToken::new());
        let scrubber = Scrubber {
            volume,
            interval: settings.interval,
            pace: Bandwidth::new(settings.bytes_per_second),
            spoiled: spoiled.clone(),
            changed: changed.clone(),
        };
        let end = cancelled.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = scrubber.run() => {}
            }
        });
        Self { spoiled, changed, cancelled, task }
    }

    /// Returns the blobs that were found changed since the last call, each once.
    pub fn take_spoiled(&self) -> Vec<Spoiled> {
        std::mem::take(&mut *self.spoiled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A counter that is incremented after each blob.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Stops it. The next run reads a half-read blob from the start.
    pub async fn shutdown(self) {
        self.cancelled.cancel();
        let _ended = self.task.await;
    }
}

struct Scrubber {
    volume: Volume,
    interval: SignedDuration,
    pace: Bandwidth,
    spoiled: Arc<Mutex<Vec<Spoiled>>>,
    changed: watch::Sender<u64>,
}

impl Scrubber {
    async fn run(&self) {
        loop {
            let sleep = match self.round().await {
                Ok(next) => next.unsigned_abs().max(Duration::from_millis(1)),
                Err(error) => {
                    tracing::warn!(%error, "cannot scrub");
                    AFTER_TROUBLE
                }
            };
            tokio::time::sleep(sleep).await;
        }
    }

    /// Verifies all blobs that are due, and returns the time until more are due. An error of one blob does not stop the
    /// others.
    async fn round(&self) -> Result<SignedDuration, CacheError> {
        let verified = self.volume.blocking(SCRUB, Volume::verified_times).await?;
        let (digests, next) = due(&verified, self.interval, Timestamp::now());
        let mut trouble = None;
        for digest in digests {
            match self.look_at(digest).await {
                Ok(Some(BlobCheck::Bad { expected, found, size })) => self.tell(expected, found, size),
                Ok(Some(BlobCheck::Good(_)) | None) => {}
                Err(error) => trouble = Some(error),
            }
            self.changed.send_modify(|count| *count += 1);
        }
        trouble.map_or(Ok(next), Err)
    }

    async fn look_at(&self, digest: Sha512Digest) -> Result<Option<BlobCheck>, CacheError> {
        let path = self.volume.blob_path(&digest);
        let begun = self.volume.blocking(SCRUB, move |_| FileScan::begin(&path)).await?;
        let Some(mut look) = begun else { return Ok(None) };
        loop {
            let read = move |_: &_| {
                let count = look.next_chunk()?;
                Ok((look, count))
            };
            let (read, count) = self.volume.blocking(SCRUB, read).await?;
            look = read;
            if count == 0 {
                break;
            }
            self.pace.pay(count).await;
        }
        let settle = move |volume: &Volume| volume.settle_check(&digest, &mut look, Timestamp::now());
        self.volume.blocking(SCRUB, settle).await
    }

    fn tell(&self, expected: Sha512Digest, found: Sha512Digest, size: u64) {
        let reason = "BlobDamaged";
        tracing::error!(%expected, %found, size, reason, "the bytes of an image changed on the volume; it is in quarantine");
        let spoiled = Spoiled { expected, found, size, time: Timestamp::now() };
        self.spoiled.lock().unwrap_or_else(PoisonError::into_inner).push(spoiled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unseen_comes_first() {
        let hours = |hours: i64| SignedDuration::from_hours(hours);
        let at = |hours_ago: i64| Timestamp::UNIX_EPOCH - hours(hours_ago);
        let digest = |number: u8| Sha512Digest::from_bytes([number; 64]);
        let verified = [(at(5), digest(1)), (at(30), digest(2)), (Timestamp::MIN, digest(3)), (at(24), digest(4))];
        let (digests, next) = due(&verified, hours(24), Timestamp::UNIX_EPOCH);
        assert_eq!(digests, [digest(3), digest(2), digest(4)]);
        assert_eq!(next, LONGEST_SLEEP);
        let (digests, next) = due(&[(at(9), digest(1))], SignedDuration::from_mins(7), Timestamp::UNIX_EPOCH);
        assert_eq!((digests.len(), next), (1, SignedDuration::from_mins(7)));
        let (digests, next) = due(&[(at(0), digest(1))], SignedDuration::from_mins(7), Timestamp::UNIX_EPOCH);
        assert_eq!((digests.len(), next), (0, SignedDuration::from_mins(7)));
        assert_eq!(due(&[], hours(24), Timestamp::UNIX_EPOCH), (Vec::new(), LONGEST_SLEEP));
    }
}
