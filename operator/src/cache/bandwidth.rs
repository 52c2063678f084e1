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
///
/// The limit of a host is one of connections. Downloads that share a connection have another limit: all slots but one,
/// so that a host with many small images leaves a slot to the others.
#[derive(Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    per_host: usize,
    shared_per_host: usize,
    hosts: Arc<Mutex<Hosts>>,
}

/// The slots of the hosts that are in use.
type Hosts = HashMap<(String, Connection), Arc<Semaphore>>;

/// The connection of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Connection {
    Own,
    Shared,
}

/// The slot of one download. It is released when dropped.
pub(super) struct Slot {
    connection: Connection,
    /// `None` after the last byte.
    host: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(all: usize, per_host: usize) -> Self {
        let per_host = per_host.max(1);
        let shared_per_host = all.saturating_sub(1).max(per_host);
        Self { all: Arc::new(Semaphore::new(all.max(1))), per_host, shared_per_host, hosts: Arc::default() }
    }

    /// Waits for a slot. It takes the host's slot first, so that a download that waits for its host does not block
    /// other hosts. When `shares` ends first, the download shares a connection.
    /// The result is never `None` in practice, because the semaphores are not closed.
    pub(super) async fn take(&self, url: &Url, shares: impl Future<Output = ()>) -> Option<Slot> {
        let (connection, host) = tokio::select! {
            biased;
            () = shares => (Connection::Shared, self.host(url, Connection::Shared).acquire_owned().await),
            host = self.host(url, Connection::Own).acquire_owned() => (Connection::Own, host),
        };
        let host = host.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Slot { connection, host: Some(host), _all: all })
    }

    fn host(&self, url: &Url, connection: Connection) -> Arc<Semaphore> {
        let limit = match connection {
            Connection::Own => self.per_host,
            Connection::Shared => self.shared_per_host,
        };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let name = (url.origin().ascii_serialization(), connection);
        hosts.entry(name).or_insert_with(|| Arc::new(Semaphore::new(limit))).clone()
    }
}

impl Slot {
    /// Whether the download shares a connection.
    pub(super) fn is_shared(&self) -> bool {
        self.connection == Connection::Shared
    }

    /// Leaves the host to another download, because all bytes were received. They still have to be written, so the slot is
    /// held: there are never more blocks in memory than for all slots.
    pub(super) fn leave_host(&mut self) {
        self.host = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_has_two_connections_or_one_for_all_slots_but_one() {
        let slots = Slots::new(4, 2);
        let (one, other): (Url, Url) = ("https://one/".parse().unwrap(), "https://other/".parse().unwrap());
        let pending = std::future::pending::<()>;
        let now = std::future::ready::<()>;
        let soon = Duration::from_secs(1);
        let own = [slots.take(&one, pending()).await.unwrap(), slots.take(&one, pending()).await.unwrap()];
        assert!(tokio::time::timeout(soon, slots.take(&one, pending())).await.is_err(), "two connections");
        assert!(!own[0].is_shared());
        let learned = tokio::time::sleep(soon);
        assert!(slots.take(&one, learned).await.unwrap().is_shared(), "one that waited for a connection shares one");
        drop(own);
        let mut shared = Vec::new();
        for _ in 0..3 {
            shared.push(slots.take(&one, now(())).await.unwrap());
        }
        assert!(tokio::time::timeout(soon, slots.take(&one, now(()))).await.is_err());
        assert!(tokio::time::timeout(soon, slots.take(&other, now(()))).await.is_ok(), "another host has the last");
        drop(shared);
        assert!(tokio::time::timeout(soon, slots.take(&one, now(()))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_that_left_its_host_holds_its_slot() {
        let slots = Slots::new(2, 1);
        let one: Url = "https://one/".parse().unwrap();
        let pending = std::future::pending::<()>;
        let soon = Duration::from_secs(1);
        let mut first = slots.take(&one, pending()).await.unwrap();
        assert!(tokio::time::timeout(soon, slots.take(&one, pending())).await.is_err());
        first.leave_host();
        let mut second = tokio::time::timeout(soon, slots.take(&one, pending())).await.unwrap().unwrap();
        second.leave_host();
        assert!(tokio::time::timeout(soon, slots.take(&one, pending())).await.is_err(), "both write");
        drop(first);
        assert!(tokio::time::timeout(soon, slots.take(&one, pending())).await.is_ok());
    }

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
