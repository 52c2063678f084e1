//! Downloads as jobs: started and looked at by reconciles, never waited for.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bandwidth::Bandwidth;
use super::blob::VerifiedBlob;
use super::conversion::{ConversionLimits, Conversions};
use super::download::Download;
use super::error::{CacheError, DownloadError};
use super::name::SafeName;
use super::progress::{Figures, Progress};
use super::quota::Quota;
use super::slots::Slots;
use super::volume::Volume;
use crate::fetch::{Client, Source};
use crate::imagelist::{Sha512Digest, SourceUrl};

/// What names a download. One poisoned URL does not spoil another one's download of the same digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// Who wants it. One namespace's job says nothing to another's: they may have different credentials.
    pub namespace: SafeName,
    /// What is wanted.
    pub digest: Sha512Digest,
    /// From where.
    pub url: SourceUrl,
}

/// What to download.
#[derive(Debug, Clone)]
pub struct DownloadRequest {
    /// Who wants it, and has a right to it once this request has brought it.
    pub namespace: SafeName,
    /// What the bytes have to be.
    pub digest: Sha512Digest,
    /// How many there have to be.
    pub size: u64,
    /// Where they are and who asks.
    pub source: Source,
}

impl DownloadRequest {
    /// The job's name.
    pub fn key(&self) -> JobKey {
        JobKey { namespace: self.namespace.clone(), digest: self.digest, url: self.source.url.clone() }
    }
}

/// How much at once, and how often a job tries by itself.
#[derive(Debug, Clone)]
pub struct JobLimits {
    /// Downloads at once.
    pub downloads: usize,
    /// Downloads at once from one scheme, host and port.
    pub per_host: usize,
    /// Connections in a row without progress after which a job has failed. Progress starts the count anew.
    pub tries: u32,
    /// The wait before the second try; doubled for each one more, up to thirty times it, and jittered.
    pub first_wait: Duration,
    /// Bytes that downloads and conversions leave free on the volume; `None`: a twentieth of it, at most 64 MiB.
    pub min_free: Option<u64>,
    /// Bytes on the disk that all that the operator keeps may take; `None`: as much as there is.
    pub quota: Option<u64>,
    /// Bytes a second of all downloads together; `None`: as fast as they come.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Conversions, which share the volume and its quota.
    pub conversion: ConversionLimits,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            downloads: 4,
            per_host: 2,
            tries: 3,
            first_wait: Duration::from_secs(2),
            min_free: None,
            quota: None,
            bytes_per_second: None,
            conversion: ConversionLimits::default(),
        }
    }
}

/// Where a job is.
#[derive(Debug, Clone)]
pub enum JobState {
    /// Waits for its turn, or for its next try.
    Queued,
    /// Has a connection, or looks through what an earlier run left.
    Running {
        /// On the volume so far.
        bytes: u64,
        /// Of so many.
        total: u64,
        /// Over the last seconds.
        bytes_per_second: u64,
    },
    /// In the cache.
    Done(VerifiedBlob),
    /// Not in the cache. It stays visible until it is forgotten or started again.
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
    conversions: Conversions,
    runtime: Handle,
    table: Mutex<Table>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    jobs: HashMap<JobKey, Job>,
    /// Cancelled and not yet ended: a new job of the same name waits, so that no two write to one file.
    ending: HashMap<JobKey, JoinHandle<()>>,
    /// Told apart by number, so that a job that was cancelled says nothing about its successor.
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
    /// No jobs yet. To be called within a tokio runtime, which runs them.
    pub fn new(volume: Volume, client: Client, limits: JobLimits) -> Self {
        let slots = Slots::new(limits.downloads, limits.per_host);
        let (quota, bandwidth) = (Quota::new(limits.quota), Bandwidth::new(limits.bytes_per_second));
        let table = Mutex::new(Table::default());
        let (changed, _) = watch::channel(0);
        let runtime = Handle::current();
        let (told, of_conversions) = (changed.clone(), limits.conversion.clone());
        let conversions = Conversions::new(volume.clone(), quota.clone(), limits.min_free, of_conversions, told);
        let inner = Inner { volume, client, limits, slots, quota, bandwidth, conversions, runtime, table, changed };
        Self { inner: Arc::new(inner) }
    }

    /// The conversions, which are jobs as well: they end with the downloads, and [`Jobs::changed`] tells of both.
    pub fn conversions(&self) -> &Conversions {
        &self.inner.conversions
    }

    /// Whether there is room on the volume for so many bytes more.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.inner.volume.free(self.inner.limits.min_free).is_ok_and(|free| bytes <= free.usable())
    }

    /// Starts a job, or starts a failed one again; one that waits, runs or is done goes on as it is.
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
        let progress = Arc::new(Progress::new(request.size));
        let cancelled = CancellationToken::new();
        if table.closed {
            let outcome = Some(Err(DownloadError::Cancelled { url: key.url.clone() }));
            return Job { number, progress, outcome, cancelled, task: None };
        }
        let download = Download {
            volume: self.inner.volume.clone(),
            client: self.inner.client.clone(),
            limits: self.inner.limits.clone(),
            slots: self.inner.slots.clone(),
            quota: self.inner.quota.clone(),
            bandwidth: self.inner.bandwidth.clone(),
            request,
            progress: progress.clone(),
            cancelled: cancelled.clone(),
        };
        let (inner, name) = (self.inner.clone(), key.clone());
        let task = self.inner.runtime.spawn(async move {
            if let Some(before) = before {
                // Its result was of no interest when it was cancelled; only its end is.
                let _ended = before.await;
            }
            download.progress.tell_changes(&inner.changed);
            // A task of its own, so that one that panics is a failed job and not one that runs for ever.
            let ended = tokio::spawn(async move { download.run().await }).await;
            let broken = |error| CacheError::io("download to", inner.volume.root())(std::io::Error::other(error));
            inner.ended(&name, number, ended.unwrap_or_else(|error| Err(broken(error).into())));
        });
        Job { number, progress, outcome: None, cancelled, task: Some(task) }
    }

    /// Where a job is; `None` where it was never started or was forgotten.
    pub fn look(&self, key: &JobKey) -> Option<JobState> {
        let table = self.inner.table();
        let job = table.jobs.get(key)?;
        Some(job.state(job.progress.figures()))
    }

    /// The same with figures that change now and then only: for whoever writes them down.
    pub fn told(&self, key: &JobKey) -> Option<JobState> {
        let table = self.inner.table();
        let job = table.jobs.get(key)?;
        Some(job.state(job.progress.told(Instant::now())))
    }

    /// The names of all jobs.
    pub fn keys(&self) -> Vec<JobKey> {
        self.inner.table().jobs.keys().cloned().collect()
    }

    /// Ends a job and forgets it. What has come stays on the volume for the next time.
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

    /// Forgets a job that is done or has failed; one that waits or runs stays.
    pub fn forget(&self, key: &JobKey) {
        let mut table = self.inner.table();
        if table.jobs.get(key).is_some_and(|job| job.outcome.is_some()) {
            table.jobs.remove(key);
        }
    }

    /// A counter that goes up whenever any job changes its state (bytes that come are no change). Take it before
    /// looking, then wait for `changed()` on it: nothing is missed in between.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Ends all jobs and waits until none writes any more. What has come stays on the volume; later starts fail.
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
    /// The table holds no half-made change, so that a panic elsewhere does not spoil it.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn ended(&self, key: &JobKey, number: u64, outcome: Result<VerifiedBlob, DownloadError>) {
        match &outcome {
            Ok(blob) => {
                tracing::info!(url = %key.url, digest = ?key.digest, size = blob.size(), "image is in the cache");
            }
            Err(error) => tracing::warn!(url = %key.url, digest = ?key.digest, %error, "image was not fetched"),
        }
        let mut table = self.table();
        if let Some(job) = table.jobs.get_mut(key).filter(|job| job.number == number) {
            job.outcome = Some(outcome);
        }
        // Under the lock: whoever sees the end of a job can also see that something changed.
        self.tell();
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}
