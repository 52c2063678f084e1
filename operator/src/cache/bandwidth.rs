//! What all downloads share: slots, in total and for each host, and one bandwidth.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use url::Url;

/// A limit in bytes per second, shared by all clones. `None` means no limit.
///
/// After each piece, the caller waits for the time that the piece takes at the limit, one caller after the other. So
/// the total rate is the limit, whatever the sizes of the pieces. Unused time is not saved: the rate after a pause is
/// not higher.
#[derive(Clone)]
pub(super) struct Bandwidth {
    bytes_per_second: Option<NonZeroU64>,
    paid_until: Arc<Mutex<Instant>>,
}

impl Bandwidth {
    pub(super) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second, paid_until: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Waits for the time that `bytes` take at the limit.
    pub(super) async fn pay(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(rate.get());
        let price = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let until = {
            let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            *paid_until = (*paid_until).max(Instant::now()) + price;
            *paid_until
        };
        sleep_until(until).await;
    }
}

/// Slots for downloads. Cheap to clone.
#[derive(Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    per_host: usize,
    hosts: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// The slot of one download. It is released when dropped.
pub(super) struct Slot {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(all: usize, per_host: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all.max(1))), per_host: per_host.max(1), hosts: Arc::default() }
    }

    /// Waits for a slot. It takes the host's slot first, so that a download that waits for its host does not block
    /// other hosts.
    /// The result is never `None` in practice, because the semaphores are not closed.
    pub(super) async fn take(&self, url: &Url) -> Option<Slot> {
        let host = self.host(url);
        let host = host.acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Slot { _host: host, _all: all })
    }

    fn host(&self, url: &Url) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let name = url.origin().ascii_serialization();
        hosts.entry(name).or_insert_with(|| Arc::new(Semaphore::new(self.per_host))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_sum_of_all_is_what_was_agreed() {
        let limit = Bandwidth::new(NonZeroU64::new(1000));
        let began = Instant::now();
        let takers = [1, 7, 92].map(|piece: usize| {
            let limit = limit.clone();
            tokio::spawn(async move {
                for _ in 0..(9200 / piece) {
                    limit.pay(piece).await;
                }
            })
        });
        for taker in takers {
            taker.await.unwrap();
        }
        let paid = (9200 + 9198 + 9200) as u64;
        assert_eq!(began.elapsed().as_millis() / 10, u128::from(paid) / 10);
        tokio::time::advance(Duration::from_hours(1)).await;
        let began = Instant::now();
        limit.pay(500).await;
        assert!(began.elapsed() >= Duration::from_millis(500), "a pause saves nothing up");
        Bandwidth::new(None).pay(usize::MAX).await;
    }
}
