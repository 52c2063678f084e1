//! One download, from the beginning or from a partial download, until the image is in the cache.
//!
//! A *try* is one connection. Bytes go from the socket in blocks to a thread that writes them, and then to one that hashes
//! them. So memory use is constant, and nothing is read twice. Received bytes are kept, and the next connection requests
//! the rest. Only tries without progress count, and the download releases its slot while it waits
//! between them.

mod attempts;
mod failure;
mod size;
mod slot;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::attempts::{Attempts, Tried};
use self::failure::{is_stall, may_pass_soon};
use super::bandwidth::{Bandwidth, Slot, Slots};
use super::blob::VerifiedBlob;
use super::block::SpareBlocks;
use super::error::{CacheError, DownloadError};
use super::job_request::{DownloadRequest, JobLimits};
use super::partial::{Partial, partial_path, remove_partial};
use super::progress::Progress;
use super::quota::{Exceeded, Quota};
use super::volume::Volume;
use crate::fetch::{Came, Client, FetchError, ImageAnswer, ImageBody, ImageRequest, Validator};
use crate::imagelist::ContentDigest;
use crate::metrics::Work;

/// The longest wait between two tries, as a multiple of the first wait.
const LONGEST_WAIT: u32 = 30;

/// The operation, in errors of the volume.
const DOWNLOAD: &str = "download to";

/// A download and everything that it needs.
pub(super) struct Download {
    pub(super) volume: Volume,
    pub(super) client: Client,
    pub(super) limits: JobLimits,
    pub(super) slots: Slots,
    pub(super) quota: Quota,
    pub(super) bandwidth: Bandwidth,
    pub(super) blocks: SpareBlocks,
    pub(super) request: DownloadRequest,
    pub(super) progress: Arc<Progress>,
    pub(super) cancelled: CancellationToken,
}

impl Download {
    /// Runs until the image is in the cache or the download has failed. Thousands may wait for their slot, so what needs
    /// much memory is boxed until then.
    pub(super) async fn run(mut self) -> Result<VerifiedBlob, DownloadError> {
        if let Some(blob) = self.present().await? {
            return Ok(blob);
        }
        if self.request.size.is_none() {
            let learned = Box::pin(self.learn_size()).await;
            self.count(&learned);
            self.request.size = Some(learned?);
            self.progress.set_total(self.size());
        }
        let mut attempts = Attempts::new(self.client.rate_floor(), self.size());
        let outcome = self.until_complete(&mut attempts).await.map_err(|error| self.no_space(error));
        self.count(&outcome);
        if let Some(partial) = attempts.partial.take() {
            // Releases the space that was reserved for bytes that will not be received now.
            let end = move |_: &_| if partial.length() == 0 { partial.remove() } else { partial.release() };
            self.volume.blocking(DOWNLOAD, end).await?;
        }
        outcome
    }

    /// The number of bytes. It is known before the first byte is requested.
    fn size(&self) -> u64 {
        self.request.size.unwrap_or_default()
    }

    /// Counts a failure as a retry, because a failed download is tried again by its caller.
    fn count<T>(&self, outcome: &Result<T, DownloadError>) {
        let reason = match outcome {
            Ok(_) | Err(DownloadError::Cancelled { .. }) => return,
            Err(DownloadError::Fetch(error)) => error.reason(),
            Err(error) => error.reason(),
        };
        self.client.settings().metrics.retried(Work::Image, reason);
    }

    /// The blob, if it is already in the cache and the namespace has a right to it. A file without a valid record is
    /// verified first, before anything is fetched.
    async fn present(&self) -> Result<Option<VerifiedBlob>, DownloadError> {
        let key = self.request.key();
        let present = move |volume: &Volume| {
            let Some(digest) = volume.sha512_of(&key.digest)? else { return Ok(None) };
            if volume.blob(&digest)?.is_none() && volume.holds_bytes(&digest)? {
                volume.verify_blob(&digest, Timestamp::now())?;
            }
            let blob = volume.blob_for(&key.namespace, &digest)?;
            if blob.is_some() {
                remove_partial(volume, &partial_path(volume, &key))?;
            }
            Ok(blob)
        };
        Ok(self.volume.blocking(DOWNLOAD, present).await?)
    }

    async fn until_complete(&self, attempts: &mut Attempts) -> Result<VerifiedBlob, DownloadError> {
        let mut tries = 0;
        loop {
            let mut slot = self.slot(attempts).await?;
            self.progress.set_running(true);
            self.claim(attempts).await?;
            let best = attempts.best;
            let error = loop {
                match Box::pin(self.try_once(attempts, &mut slot)).await? {
                    Tried::Complete => {
                        // While the disk syncs these bytes, the next download has the slot.
                        drop(slot.take());
                        if let Some(blob) = self.take_in(attempts).await? {
                            return Ok(blob);
                        }
                        slot = self.slot(attempts).await?;
                    }
                    Tried::Anew => {}
                    Tried::Broken(error) if attempts.made_progress() && !is_stall(&error) => {
                        self.client.settings().metrics.retried(Work::Image, error.reason());
                        tracing::debug!(url = %self.request.source.url, size = attempts.best, %error, "goes on");
                        slot = self.kept(slot.take(), attempts).await?;
                    }
                    Tried::Broken(error) => break error,
                }
            };
            tries = if attempts.best > best && !is_stall(&error) { 1 } else { tries + 1 };
            let reason = error.reason();
            let wait = self.wait_before(tries, &error).ok_or(error)?;
            self.client.settings().metrics.retried(Work::Image, reason);
            self.progress.set_running(false);
            drop(slot);
            self.or_cancelled(tokio::time::sleep(wait)).await?;
        }
    }

    /// Makes one connection, if bytes are missing.
    async fn try_once(&self, attempts: &mut Attempts, slot: &mut Option<Slot>) -> Result<Tried, DownloadError> {
        let (offset, validator) = self.opened(attempts).await?;
        if offset == self.size() {
            return Ok(Tried::Complete);
        }
        let (size, as_it_is, shares) = (self.size(), attempts.as_it_is, std::mem::take(&mut attempts.shares));
        let request = ImageRequest { offset, size, validator: validator.as_ref(), as_it_is, shares };
        let answer = self.client.open_image(&self.request.source, &request, &mut attempts.floor);
        match self.or_cancelled(answer).await? {
            Err(error) if may_pass_soon(&error) => Ok(Tried::Broken(error)),
            Err(error) => Err(error.into()),
            Ok(ImageAnswer::Unclear { found }) => self.begin_anew(attempts, found).await,
            Ok(ImageAnswer::NoMore { total }) => match total {
                Some(total) if total != size => self.wrong_size(attempts, total.to_string()).await,
                Some(_) | None => self.begin_anew(attempts, "416 though bytes are missing".to_owned()).await,
            },
            Ok(ImageAnswer::Bytes { total: Some(total), body, came, .. }) if total != size => {
                attempts.came = self.or_cancelled(beginning(body, came)).await?;
                self.wrong_size(attempts, total.to_string()).await
            }
            Ok(ImageAnswer::Bytes { start, validator: named, body, came, .. }) => {
                let changed = validator.zip(named.clone()).is_some_and(|(before, now)| before.contradicts(&now));
                if start != 0 && (start != offset || changed) {
                    return self.begin_anew(attempts, format!("bytes from {start} on of another file")).await;
                }
                attempts.resumed = start > 0;
                attempts.decoded = body.is_decoded();
                if start == 0 {
                    attempts.came = came;
                }
                self.settle(attempts, start, named).await?;
                self.stream(attempts, body, slot).await
            }
        }
    }

    /// The length and the validator of the partial download, for whose missing bytes there is room. Opens it first if
    /// necessary.
    async fn opened(&self, attempts: &mut Attempts) -> Result<(u64, Option<Validator>), DownloadError> {
        let min_free = self.limits.min_free;
        if attempts.partial.is_some() {
            self.with_partial(attempts, move |partial| partial.check_room(min_free)).await?;
        } else {
            let (request, size) = (self.request.clone(), self.size());
            let (cancelled, progress) = (self.cancelled.clone(), self.progress.clone());
            let open = move |volume: &Volume| {
                let partial = Partial::open(volume, &request, size, &cancelled, |bytes| progress.set_bytes(bytes))?;
                let room = partial.as_ref().map_or(Ok(()), |partial| partial.check_room(min_free));
                Ok(partial.map(|partial| (partial, room)))
            };
            let opened = self.volume.blocking(DOWNLOAD, open).await?;
            let (partial, room) = opened.ok_or_else(|| self.was_cancelled())?;
            attempts.best = partial.length();
            attempts.resumed = partial.length() > 0;
            self.progress.set_bytes(partial.length());
            attempts.partial = Some(partial);
            room?;
        }
        let partial = attempts.partial.as_ref();
        Ok(partial.map_or((0, None), |partial| (partial.length(), partial.validator().cloned())))
    }

    /// Claims its part of the quota, once. So two downloads that start at the same time cannot both get the last of it.
    async fn claim(&self, attempts: &mut Attempts) -> Result<(), DownloadError> {
        if attempts.claim.is_none() {
            let (quota, size) = (self.quota.clone(), self.size());
            let partial = partial_path(&self.volume, &self.request.key());
            let is_limited = quota.is_limited();
            let claim = move |volume: &Volume| quota.claim(volume, &partial, size);
            let claimed = if is_limited { self.volume.blocking(DOWNLOAD, claim).await? } else { claim(&self.volume)? };
            let url = &self.request.source.url;
            let refused = |over: Exceeded| DownloadError::QuotaExceeded {
                url: url.clone(),
                size,
                used: over.used,
                quota: over.limit,
            };
            attempts.claim = Some(claimed.map_err(refused)?);
        }
        Ok(())
    }

    /// Adds the URL to the error of a full volume.
    fn no_space(&self, error: DownloadError) -> DownloadError {
        let DownloadError::Cache(cause) = &error else { return error };
        let CacheError::NoSpace { needed, free, .. } = **cause else { return error };
        DownloadError::NoSpace { url: self.request.source.url.clone(), needed, free }
    }

    /// The server has a file of another length, so the bytes are of no use.
    async fn wrong_size(&self, attempts: &mut Attempts, found: String) -> Result<Tried, DownloadError> {
        if attempts.turns_to_what_came() {
            self.with_partial(attempts, Partial::start_over).await?;
            return Ok(Tried::Anew);
        }
        if let Some(partial) = attempts.partial.take() {
            self.volume.blocking(DOWNLOAD, move |_| partial.remove()).await?;
        }
        let (url, came) = (self.request.source.url.clone(), std::mem::take(&mut attempts.came));
        Err(DownloadError::SizeMismatch { url, expected: self.size(), found: found.into(), came })
    }

    /// The response does not match the partial download. The next try requests the whole file.
    async fn begin_anew(&self, attempts: &mut Attempts, found: String) -> Result<Tried, DownloadError> {
        let offset = attempts.partial.as_ref().map_or(0, Partial::length);
        self.with_partial(attempts, Partial::start_over).await?;
        let message = format!("expected bytes from {offset} on, found {found}");
        Ok(Tried::Broken(FetchError::Connection { url: self.request.source.url.clone(), message }))
    }

    /// Prepares the partial download before the first byte of a connection is written.
    async fn settle(&self, attempts: &mut Attempts, start: u64, named: Option<Validator>) -> Result<(), DownloadError> {
        let min_free = self.limits.min_free;
        self.with_partial(attempts, move |partial| {
            if start == 0 && partial.length() > 0 {
                partial.start_over()?;
            }
            let keeps = partial.validator().cloned().filter(|_| start > 0);
            partial.remember(named.or(keeps))?;
            partial.reserve(min_free)
        })
        .await
    }

    /// All bytes were received. If the digest is right, they are added to the cache; if not, they are removed. `None`
    /// means that the download starts again from zero.
    async fn take_in(&self, attempts: &mut Attempts) -> Result<Option<VerifiedBlob>, DownloadError> {
        let Some(mut partial) = attempts.partial.take() else { return Err(self.was_cancelled()) };
        let (namespace, expected) = (self.request.namespace.clone(), self.request.digest);
        let take_in = move |_: &_| {
            let seen = partial.finish()?;
            let found = seen.digests.sha256.map_or(seen.digests.sha512.into(), ContentDigest::Sha256);
            if found != expected {
                return Ok(Err((partial, found)));
            }
            partial.into_blob(&namespace, &seen, Timestamp::now()).map(Ok)
        };
        let (partial, found) = match self.volume.blocking(DOWNLOAD, take_in).await? {
            Ok(blob) => return Ok(Some(blob)),
            Err(wrong) => wrong,
        };
        attempts.partial = Some(partial);
        let clean = attempts.resumed && !std::mem::replace(&mut attempts.started_clean, true);
        if clean || attempts.turns_to_what_came() {
            attempts.best = 0;
            self.with_partial(attempts, Partial::start_over).await?;
            return Ok(None);
        }
        if let Some(partial) = attempts.partial.take() {
            self.volume.blocking(DOWNLOAD, move |_| partial.remove()).await?;
        }
        let (expected, found) = (Box::new(self.request.digest), Box::new(found));
        let (url, came) = (self.request.source.url.clone(), std::mem::take(&mut attempts.came));
        Err(DownloadError::ChecksumMismatch { url, expected, found, came })
    }

    /// The wait after `tries` tries without progress. `None` if the limit is reached, or if the server asks for a
    /// longer wait than the longest one.
    fn wait_before(&self, tries: u32, error: &FetchError) -> Option<Duration> {
        if tries >= self.limits.tries {
            return None;
        }
        let longest = self.limits.first_wait.saturating_mul(LONGEST_WAIT);
        let doubled = self.limits.first_wait.saturating_mul(2_u32.saturating_pow(tries - 1)).min(longest);
        let jittered = doubled.mul_f64(0.5 + fastrand::f64() / 2.0);
        let asked = error.retry_after().unwrap_or_default();
        (asked <= longest).then(|| jittered.max(asked))
    }

    async fn or_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, DownloadError> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(self.was_cancelled()),
            done = work => Ok(done),
        }
    }

    fn was_cancelled(&self) -> DownloadError {
        DownloadError::Cancelled(self.request.source.url.clone())
    }

    async fn with_partial<T: Send + 'static>(
        &self,
        attempts: &mut Attempts,
        work: impl FnOnce(&mut Partial) -> Result<T, CacheError> + Send + 'static,
    ) -> Result<T, DownloadError> {
        let Some(mut partial) = attempts.partial.take() else { return Err(self.was_cancelled()) };
        let work = move |_: &_| {
            let done = work(&mut partial);
            Ok((partial, done))
        };
        let (partial, done) = self.volume.blocking(DOWNLOAD, work).await?;
        attempts.partial = Some(partial);
        Ok(done?)
    }
}

/// The description of a response that is of no use, with its first bytes.
async fn beginning(body: ImageBody, came: Box<Came>) -> Box<Came> {
    let (mut body, mut came) = (body, came);
    body.begin(&mut came).await;
    came
}
