//! Downloads as jobs: started and looked at by reconciles, never waited for.

use std::sync::Arc;

use tokio::sync::watch;

use super::blob::VerifiedBlob;
use super::error::DownloadError;
use super::volume::Volume;
use crate::fetch::{Client, Source};
use crate::imagelist::{Sha512Digest, SourceUrl};

/// What names a download. One poisoned URL does not spoil another one's download of the same digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// What is wanted.
    pub digest: Sha512Digest,
    /// From where.
    pub url: SourceUrl,
}

/// What to download.
#[derive(Debug, Clone)]
pub struct DownloadRequest {
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
        JobKey { digest: self.digest, url: self.source.url.clone() }
    }
}

/// How much at once, and how often a job tries by itself.
#[derive(Debug, Clone)]
pub struct JobLimits {
    /// Downloads at once.
    pub downloads: usize,
    /// Downloads at once from one host and port.
    pub per_host: usize,
    /// Connections in a row without progress after which a job has failed. One that made progress starts the count anew.
    pub tries: u32,
    /// The wait before the second try; doubled for each one more, up to thirty times it, and jittered.
    pub first_wait: std::time::Duration,
    /// Bytes that downloads leave free on the volume.
    pub keep_free: u64,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            downloads: 4,
            per_host: 2,
            tries: 3,
            first_wait: std::time::Duration::from_secs(2),
            keep_free: 64 * 1024 * 1024,
        }
    }
}

/// Where a job is.
#[derive(Debug, Clone)]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// Bytes come, or a try is waited for.
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
#[derive(Debug, Clone)]
pub struct Jobs {
    inner: Arc<()>,
}

impl Jobs {
    /// No jobs yet.
    pub fn new(_volume: Volume, _client: Client, _limits: JobLimits) -> Self {
        todo!()
    }

    /// Starts a job, or starts a failed one again; one that waits, runs or is done goes on as it is.
    pub fn start(&self, _request: DownloadRequest) -> JobKey {
        todo!()
    }

    /// Where a job is; `None` where it was never started or was forgotten.
    pub fn look(&self, _key: &JobKey) -> Option<JobState> {
        todo!()
    }

    /// Ends a job and forgets it. What has come stays on the volume for the next time.
    pub fn cancel(&self, _key: &JobKey) {
        todo!()
    }

    /// Forgets a job that is done or has failed; one that waits or runs stays.
    pub fn forget(&self, _key: &JobKey) {
        todo!()
    }

    /// A counter that goes up whenever any job changes its state (progress is no change). Take it before looking,
    /// then wait for `changed()` on it: nothing is missed in between.
    pub fn changed(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Ends all jobs and waits until none writes any more. What has come stays on the volume.
    pub async fn shutdown(&self) {
        std::future::ready(()).await;
        todo!()
    }
}
