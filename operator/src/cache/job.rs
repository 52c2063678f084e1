//! Downloads as background jobs. Reconciles start them and query them, but never wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use tracing::field::Empty;

use super::bandwidth::{Bandwidth, Slots};
use super::blob::VerifiedBlob;
use super::block::SpareBlocks;
use super::conversion::Conversions;
use super::download::Download;
use super::error::{CacheError, DownloadError};
use super::job_request::{DownloadRequest, JobKey, JobLimits};
use super::progress::{Figures, Progress};
use super::quota::Quota;
use super::volume::Volume;
use crate::fetch::Client;
use crate::metrics::traced;

/// The state of a job.
#[derive(Debug, Clone)]
pub enum JobState {
    /// It waits for a slot, or for its next try.
    Queued,
    /// It has a connection, or reads the partial download of an earlier run.
    Running {
        /// The bytes on the volume.
        bytes: u64,
        /// The size of the image in bytes.
        total: u64,
        /// The rate over the last seconds.
        bytes_per_second: u64,
    },
    /// The image is in the cache.
    Done(VerifiedBlob),
    /// It failed. The job stays visible until it is forgotten or started again.
    Failed(DownloadError),
}

/// All downloads of one operator. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    volume: Volume,
    client: Client,
    limits: JobLimits,
    slots: Slots,
    quota: Quota,
    bandwidth: Bandwidth,
    blocks: SpareBlocks,
    conversions: Conversions,
    runtime: Handle,
    table: Mutex<Table>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    jobs: HashMap<JobKey, Job>,
    /// Jobs that are cancelled and have not ended yet. A new job with the same key waits for them, so that no two jobs
    /// write to one file.
    ending: HashMap<JobKey, JoinHandle<()>>,
    /// The number of the last job. The numbers distinguish a cancelled job from its successor.
    next: u64,
    closed: bool,
}

struct Job {
    number: u64,
    progress: Arc<Progress>,
    outcome: Option<Result<VerifiedBlob, DownloadError>>,
    cancelled: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Jobs {
    /// Starts without jobs. Must be called within a tokio runtime, which runs the jobs.
    pub fn new(volume: Volume, client: Client, limits: JobLimits) -> Self {
        let slots = Slots::new(limits.downloads, limits.per_host);
        let (quota, bandwidth) = (Quota::new(limits.quota), Bandwidth::new(limits.bytes_per_second));
        let table = Mutex::new(Table::default());
        let (changed, _) = watch::channel(0);
        let runtime = Handle::current();
        let (told, of_conversions) = (changed.clone(), limits.conversion.clone());
        let conversions = Conversions::new(volume.clone(), quota.clone(), limits.min_free, of_conversions, told);
        let blocks = SpareBlocks::default();
        let inner =
            Inner { volume, client, limits, slots, quota, bandwidth, blocks, conversions, runtime, table, changed };
        Self { inner: Arc::new(inner) }
    }

    /// The conversions, which are jobs too. They end with the downloads, and [`Jobs::changed`] reports changes of both.
    pub fn conversions(&self) -> &Conversions {
        &self.inner.conversions
    }

    /// Whether there is space on the volume for this number of bytes.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.inner.volume.free(self.inner.limits.min_free).is_ok_and(|free| bytes <= free.usable())
    }

    /// Starts a job, or restarts a failed one. If it is waiting, running or done, nothing changes.
    pub fn start(&self, request: DownloadRequest) -> JobKey {
        let key = request.key();
        let mut table = self.inner.table();
        let restarts = table.jobs.get(&key).is_none_or(|job| matches!(job.outcome, Some(Err(_))));
        if restarts {
            let job = self.spawn(&mut table, &key, request);
            table.jobs.insert(key.clone(), job);
            drop(table);
            self.inner.tell();
        }
        key
    }

    fn spawn(&self, table: &mut Table, key: &JobKey, request: DownloadRequest) -> Job {
        table.next += 1;
        table.ending.retain(|_, task| !task.is_finished());
        let number = table.next;
        let before = table.ending.remove(key);
        let progress = Arc::new(Progress::new(request.size.unwrap_or_default()));
        let cancelled = CancellationToken::new();
        if table.closed {
            let outcome = Some(Err(DownloadError::Cancelled(key.url.clone())));
            return Job { number, progress, outcome, cancelled, task: None };
        }
        let download = Download {
            volume: self.inner.volume.clone(),
            client: self.inner.client.clone(),
            limits: self.inner.limits.clone(),
            slots: self.inner.slots.clone(),
            quota: self.inner.quota.clone(),
            bandwidth: self.inner.bandwidth.clone(),
            blocks: self.inner.blocks.clone(),
            request,
            progress: progress.clone(),
            cancelled: cancelled.clone(),
        };
        let (inner, name) = (self.inner.clone(), key.clone());
        // It is made here, so that the pass that starts the download is its parent.
        let span = span(key);
        let task = self.inner.runtime.spawn(async move {
            if let Some(before) = before {
                // Only the end of the cancelled job matters, not its result.
                let _ended = before.await;
            }
            download.progress.tell_changes(&inner.changed);
            // A separate task, so that a panic ends as a failed job, not as a job that never ends.
            // Boxed, because a span keeps its work twice, and thousands of downloads may wait.
            let ended = tokio::spawn(traced(span, Box::pin(download.run()))).await;
            let broken = |error| CacheError::io("download to", inner.volume.root())(std::io::Error::other(error));
            inner.ended(&name, number, ended.unwrap_or_else(|error| Err(broken(error).into())));
        });
        Job { number, progress, outcome: None, cancelled, task: Some(task) }
    }

    /// The state of a job; `None` if it was never started or was forgotten.
    pub fn look(&self, key: &JobKey) -> Option<JobState> {
        let table = self.inner.table();
        let job = table.jobs.get(key)?;
        Some(job.state(job.progress.figures()))
    }

    /// The same, with progress figures that change only every few seconds, for a status.
    pub fn told(&self, key: &JobKey) -> Option<JobState> {
        let table = self.inner.table();
        let job = table.jobs.get(key)?;
        Some(job.state(job.progress.told(Instant::now())))
    }

    /// The keys of all jobs.
    pub fn keys(&self) -> Vec<JobKey> {
        self.inner.table().jobs.keys().cloned().collect()
    }

    /// Cancels a job and forgets it. The received bytes are kept on the volume for the next time.
    pub fn cancel(&self, key: &JobKey) {
        let mut table = self.inner.table();
        let Some(job) = table.jobs.remove(key) else { return };
        job.cancelled.cancel();
        if let Some(task) = job.task {
            table.ending.insert(key.clone(), task);
        }
        drop(table);
        self.inner.tell();
    }

    /// Forgets a job that is done or has failed. A job that is waiting or running stays.
    pub fn forget(&self, key: &JobKey) {
        let mut table = self.inner.table();
        if table.jobs.get(key).is_some_and(|job| job.outcome.is_some()) {
            table.jobs.remove(key);
        }
    }

    /// A counter that is incremented whenever a job changes its state (received bytes are not a change). Subscribe
    /// before you query the jobs and then wait for `changed()`; so no change is missed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Cancels all jobs and waits until none writes any more. The received bytes are kept on the volume. Later starts
    /// fail.
    pub async fn shutdown(&self) {
        let tasks: Vec<JoinHandle<()>> = {
            let mut table = self.inner.table();
            table.closed = true;
            table.jobs.values().for_each(|job| job.cancelled.cancel());
            let running: Vec<_> = table.jobs.values_mut().filter_map(|job| job.task.take()).collect();
            running.into_iter().chain(table.ending.drain().map(|(_, task)| task)).collect()
        };
        for task in tasks {
            let _ended = task.await;
        }
        self.inner.conversions.shutdown().await;
    }
}

/// The span of a download.
fn span(key: &JobKey) -> Span {
    tracing::info_span!(
        "download",
        url = %key.url, digest = %key.digest, otel.kind = "client", otel.status_description = Empty
    )
}

impl Job {
    fn state(&self, figures: Option<Figures>) -> JobState {
        match (&self.outcome, figures) {
            (None, None) => JobState::Queued,
            (None, Some(Figures { bytes, total, bytes_per_second })) => {
                JobState::Running { bytes, total, bytes_per_second }
            }
            (Some(Ok(blob)), _) => JobState::Done(blob.clone()),
            (Some(Err(error)), _) => JobState::Failed(error.clone()),
        }
    }
}

impl Inner {
    /// A poisoned lock is ignored, because the table is never in an inconsistent state.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn ended(&self, key: &JobKey, number: u64, outcome: Result<VerifiedBlob, DownloadError>) {
        match &outcome {
            Ok(blob) => {
                tracing::info!(url = %key.url, digest = %key.digest, size = blob.size(), "image is in the cache");
            }
            Err(error) => tracing::warn!(url = %key.url, digest = %key.digest, %error, "image was not fetched"),
        }
        let mut table = self.table();
        if let Some(job) = table.jobs.get_mut(key).filter(|job| job.number == number) {
            job.outcome = Some(outcome);
        }
        // This is done under the lock, so that everyone who sees the end of a job can also see that something changed.
        self.tell();
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}
