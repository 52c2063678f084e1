//! The volume and its downloads, against a server that does what servers do.

mod attack;
mod cut;
mod download;
mod hostile_server;
mod http2;
mod limits;
mod power_failure;
mod scrub;
mod sha256;
mod volume;

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::image_server::{ImageServer, Resource};
use tempfile::TempDir;
use vmcatcher_operator::cache::{
    DownloadError, DownloadRequest, ImageKey, JobKey, JobLimits, JobState, Jobs, VerifiedBlob, Volume,
};
use vmcatcher_operator::fetch::{Client, ClientSettings, Credentials, Source};
use vmcatcher_operator::imagelist::Sha512Digest;

/// A volume with its jobs.
struct Site {
    directory: TempDir,
    volume: Volume,
    jobs: Jobs,
}

/// Limits that do not make a test wait.
fn quick() -> JobLimits {
    JobLimits { first_wait: Duration::from_millis(10), ..JobLimits::default() }
}

/// For tests that are about servers that stall; a busy machine may look like one to the others.
fn impatient() -> ClientSettings {
    ClientSettings { stall_window: Duration::from_secs(1), minimum_rate: 1024, ..ClientSettings::default() }
}

impl Site {
    fn new() -> Self {
        Self::with(quick(), &ClientSettings::default())
    }

    fn with(limits: JobLimits, settings: &ClientSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        let jobs = Jobs::new(volume.clone(), Client::new(settings).unwrap(), limits);
        Self { directory, volume, jobs }
    }

    /// The same volume in the hands of a next run.
    async fn restarted(self) -> Self {
        self.jobs.shutdown().await;
        let Self { directory, volume, jobs } = self;
        drop((volume, jobs));
        let volume = reopened(directory.path()).await;
        let jobs = Jobs::new(volume.clone(), Client::new(&ClientSettings::default()).unwrap(), quick());
        Self { directory, volume, jobs }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    async fn download(&self, request: DownloadRequest) -> Result<VerifiedBlob, DownloadError> {
        let key = self.jobs.start(request);
        self.outcome(&key).await
    }

    async fn outcome(&self, key: &JobKey) -> Result<VerifiedBlob, DownloadError> {
        let mut changed = self.jobs.changed();
        loop {
            match self.jobs.look(key).expect("a job that was started") {
                JobState::Queued | JobState::Running { .. } => changed.changed().await.unwrap(),
                JobState::Done(blob) => return Ok(blob),
                JobState::Failed(error) => return Err(error),
            }
        }
    }

    /// The same volume in the hands of a next run, after a download was cancelled that had received so many bytes.
    async fn cut_off(self, key: &JobKey, bytes: u64) -> Self {
        while self.received() < bytes {
            tokio::task::yield_now().await;
        }
        self.jobs.cancel(key);
        self.restarted().await
    }

    /// The bytes of the only partial download.
    fn received(&self) -> u64 {
        let name = self.partials().into_iter().find(|name| !name.contains('.'));
        name.map_or(0, |name| self.path().join("partial").join(name).metadata().unwrap().len())
    }

    /// The names in `partial/`.
    fn partials(&self) -> Vec<String> {
        names(&self.path().join("partial"))
    }
}

/// Waits until the process has let the volume go: a clone of it may be with a thread that is about to end.
async fn reopened(path: &Path) -> Volume {
    Volume::open_waiting(path, |_| {}).await.unwrap()
}

fn request(server: &ImageServer, path: &str, resource: &Resource) -> DownloadRequest {
    DownloadRequest {
        namespace: "site".parse().unwrap(),
        digest: resource.sha512().parse::<Sha512Digest>().unwrap().into(),
        size: Some(resource.size()),
        source: Source::public(server.url(path).parse().unwrap()),
        sha1: true,
    }
}

fn with_credentials(mut request: DownloadRequest, credentials: Credentials) -> DownloadRequest {
    request.source.credentials = Some(credentials);
    request
}

fn image(identifier: &str) -> ImageKey {
    ImageKey { namespace: "site".parse().unwrap(), identifier: identifier.parse().unwrap() }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The `Range` of each request for a path.
fn ranges(server: &ImageServer, path: &str) -> Vec<Option<String>> {
    server.requests(path).into_iter().map(|request| request.range).collect()
}

fn expect_reason(outcome: Result<VerifiedBlob, DownloadError>, reason: &str) -> String {
    let error = outcome.expect_err("a failure");
    assert_eq!(error.reason(), reason, "{error}");
    error.to_string()
}
