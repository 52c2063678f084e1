//! Uploads in the background. They end with the session that they belong to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::snapshot::Progress;
use crate::openstack::client::Client;
use crate::openstack::error::OpenStackError;

/// How many files are uploaded at the same time. The others wait.
const AT_ONCE: usize = 4;

/// The uploads of a session. Dropping it ends them: Glance then sets their images back to `queued`.
#[derive(Debug)]
pub struct Uploads {
    client: Client,
    running: Arc<Semaphore>,
    entries: Entries,
}

type Entries = Arc<Mutex<BTreeMap<Uuid, Entry>>>;

#[derive(Debug)]
enum Entry {
    Running { sent: Arc<AtomicU64>, size: u64, task: Option<AbortHandle> },
    Failed(OpenStackError),
}

impl Uploads {
    /// No uploads yet.
    pub fn new(client: Client) -> Self {
        Self { client, running: Arc::new(Semaphore::new(AT_ONCE)), entries: Entries::default() }
    }

    /// All uploads that have not succeeded.
    pub fn progress(&self) -> BTreeMap<Uuid, Progress> {
        let progress = |entry: &Entry| match entry {
            Entry::Running { sent, size, .. } => Progress::Running { sent: sent.load(Ordering::Relaxed), size: *size },
            Entry::Failed(error) => Progress::Failed(error.clone()),
        };
        lock(&self.entries).iter().map(|(id, entry)| (*id, progress(entry))).collect()
    }

    /// Begins to upload a file, unless an upload of this image is running.
    pub fn start(&self, id: Uuid, path: PathBuf, size: u64) {
        let sent = Arc::new(AtomicU64::new(0));
        {
            let mut entries = lock(&self.entries);
            if matches!(entries.get(&id), Some(Entry::Running { .. })) {
                return;
            }
            entries.insert(id, Entry::Running { sent: sent.clone(), size, task: None });
        }
        let (client, running) = (self.client.clone(), self.running.clone());
        let entries = self.entries.clone();
        let task = tokio::spawn(async move {
            let result = upload(&client, &running, id, path, size, &sent).await;
            let mut entries = lock(&entries);
            // One that was stopped is not there any more, or is another one of the same image.
            let same = matches!(entries.get(&id), Some(Entry::Running { sent: own, .. }) if Arc::ptr_eq(own, &sent));
            if same {
                match result {
                    Ok(()) => drop(entries.remove(&id)),
                    Err(error) => drop(entries.insert(id, Entry::Failed(error))),
                }
            }
        });
        if let Some(Entry::Running { task: handle, .. }) = lock(&self.entries).get_mut(&id) {
            *handle = Some(task.abort_handle());
        }
    }

    /// Stops the upload of an image, and forgets it.
    pub fn stop(&self, id: Uuid) {
        if let Some(entry) = lock(&self.entries).remove(&id) {
            entry.abort();
        }
    }

    /// Forgets that the upload of an image failed.
    pub fn forget_failure(&self, id: Uuid) {
        let mut entries = lock(&self.entries);
        if matches!(entries.get(&id), Some(Entry::Failed(_))) {
            entries.remove(&id);
        }
    }
}

impl Entry {
    fn abort(&self) {
        match self {
            Self::Running { task, .. } => task.iter().for_each(AbortHandle::abort),
            Self::Failed(_) => {}
        }
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        lock(&self.entries).values().for_each(Entry::abort);
    }
}

async fn upload(
    client: &Client,
    running: &Semaphore,
    id: Uuid,
    path: PathBuf,
    size: u64,
    sent: &Arc<AtomicU64>,
) -> Result<(), OpenStackError> {
    // The semaphore is never closed.
    let _turn = running.acquire().await.ok();
    let file = tokio::fs::File::open(&path).await.map_err(|error| OpenStackError::File {
        call: "PUT /v2/images/{id}/file",
        size,
        found: format!("{}: {error}", path.display()),
    })?;
    client.upload(id, file, size, sent.clone()).await
}

fn lock(entries: &Entries) -> MutexGuard<'_, BTreeMap<Uuid, Entry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}
