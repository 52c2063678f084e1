//! Limits the number of simultaneous downloads, in total and for each host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

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
