//! Downloads the bytes of a version, from each of its addresses until one has them.

use std::io::IsTerminal as _;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;

use super::lookup::Image;
use super::output::Work;
use crate::cache::{DownloadRequest, JobKey, JobLimits, JobState, Jobs, VerifiedBlob};
use crate::cli::bars::style;
use crate::cli::operation::stopped;
use crate::imagelist::{ContentDigest, SourceUrl};
use crate::reconcile::{SourceError, image_source};

/// How often the bar is drawn.
const EVERY: Duration = Duration::from_millis(200);

/// What is downloaded.
pub(super) struct Wanted<'a> {
    /// The expected digest.
    pub digest: ContentDigest,
    /// The expected number of bytes; `None` if only the server knows it.
    pub size: Option<u64>,
    /// The addresses, in the order in which they are tried.
    pub addresses: &'a [SourceUrl],
    /// The name for the bar.
    pub name: String,
}

/// Downloads the bytes into the folder, and verifies them. What a cut download received is kept there.
pub(super) async fn download(image: &Image, work: &Work, wanted: &Wanted<'_>) -> anyhow::Result<VerifiedBlob> {
    let limits = JobLimits { downloads: 1, min_free: Some(0), ..JobLimits::default() };
    let jobs = Jobs::new(work.volume.clone(), image.context.client.clone(), limits);
    let got = from_any(image, &jobs, wanted).await;
    jobs.shutdown().await;
    if got.is_err() && work.has_bytes() {
        return got.with_context(|| {
            format!("what was received is kept in {}: the same command continues it", work.root().display())
        });
    }
    got
}

async fn from_any(image: &Image, jobs: &Jobs, wanted: &Wanted<'_>) -> anyhow::Result<VerifiedBlob> {
    let mut interrupted = pin!(stopped()?);
    let mut last = None;
    for url in wanted.addresses {
        let request = match request(image, wanted, url).await {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!("{error:#}");
                last = Some(error);
                continue;
            }
        };
        tracing::info!(%url, size = wanted.size, "downloading");
        let key = jobs.start(request);
        tokio::select! {
            got = end(jobs, &key, wanted) => match got {
                Ok(blob) => return Ok(blob),
                Err(error) => last = Some(error),
            },
            () = &mut interrupted => bail!("stopped"),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no accepted list has an address of it")))
}

async fn request(image: &Image, wanted: &Wanted<'_>, url: &SourceUrl) -> anyhow::Result<DownloadRequest> {
    let (context, list) = (&image.context, image.lists.as_ref().map(|lists| &lists.list));
    let namespace = image.key.namespace.clone();
    let trust = &context.settings.trust_directory;
    let source = image_source(&*context.store, namespace.as_str(), list, url, trust).await;
    let source = source.map_err(|error| match error {
        SourceError::SecretNotFound { .. } => {
            anyhow::Error::new(error).context("the Secrets of a source are in the folder of manifests (--manifests)")
        }
        SourceError::SecretInvalid { .. }
        | SourceError::CredentialsInvalid { .. }
        | SourceError::NotAllowed { .. }
        | SourceError::Store(_) => error.into(),
    })?;
    Ok(DownloadRequest { namespace, digest: wanted.digest, size: wanted.size, source, sha1: false })
}

/// Waits for the end of a download, with a bar on a terminal.
async fn end(jobs: &Jobs, key: &JobKey, wanted: &Wanted<'_>) -> anyhow::Result<VerifiedBlob> {
    let bar = bar(wanted.size.unwrap_or_default(), &wanted.name);
    let mut changed = jobs.changed();
    loop {
        match jobs.look(key) {
            Some(JobState::Done(blob)) => {
                bar.finish_and_clear();
                return Ok(blob);
            }
            Some(JobState::Failed(error)) => {
                bar.finish_and_clear();
                return Err(error.into());
            }
            Some(JobState::Running { bytes, total, .. }) => {
                bar.set_length(total);
                bar.set_position(bytes);
            }
            Some(JobState::Queued) => {}
            None => bail!("{}: the download is gone", key.url),
        }
        // The bar is drawn at the end of the time; nothing else depends on it.
        let _elapsed = tokio::time::timeout(EVERY, changed.changed()).await;
    }
}

/// A bar on standard error; hidden if that is not a terminal.
pub(super) fn bar(size: u64, name: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size);
    if let Some(style) = style() {
        bar.set_style(style);
    }
    bar.with_message(name.to_owned())
}
