//! Transfers the bytes of one connection to the disk.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Attempts, Download, Tried};
use crate::cache::error::{CacheError, DownloadError};
use crate::cache::partial::Partial;
use crate::cache::progress::Progress;
use crate::fetch::{FetchError, ImageBody};
use crate::metrics::Work;

/// The number of chunks between the socket and the disk. A chunk is at most one read of the socket (some 100 KiB).
const QUEUE: usize = 16;

/// How the transfer of one connection ended.
enum Ended {
    /// The server ended the response.
    All,
    /// The connection failed or stalled.
    Broken(FetchError),
    /// More bytes than the image has.
    TooLong,
}

impl Download {
    /// Transfers bytes from the socket to the page cache. The writing thread also hashes them.
    pub(super) async fn stream(&self, attempts: &mut Attempts, body: ImageBody) -> Result<Tried, DownloadError> {
        let Some(partial) = attempts.partial.take() else { return Ok(Tried::Complete) };
        let ends_surely = body.ends_surely();
        let missing = self.request.size.saturating_sub(partial.length());
        let begins = partial.length() == 0;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let progress = self.progress.clone();
        let writer = tokio::task::spawn_blocking(move || write_all(partial, receiver, &progress));
        let ended = self.pump(body, missing, attempts, begins, sender).await;
        let (partial, written) = writer.await.map_err(|error| self.thread_ended(error))?;
        let length = partial.length();
        attempts.partial = Some(partial);
        written?;
        match ended? {
            Ended::TooLong => self.wrong_size(attempts, format!("more than {}", self.request.size)).await,
            Ended::All | Ended::Broken(_) if length == self.request.size => Ok(Tried::Complete),
            Ended::All if ends_surely => self.wrong_size(attempts, length.to_string()).await,
            Ended::All => {
                let message = format!("expected {} bytes, the connection ended at {length}", self.request.size);
                Ok(Tried::Broken(FetchError::Connection { url: self.request.source.url.clone(), message }))
            }
            Ended::Broken(FetchError::Encoding { .. }) if attempts.turns_to_what_came() => {
                self.with_partial(attempts, Partial::start_over).await?;
                Ok(Tried::Anew)
            }
            Ended::Broken(error) => Ok(Tried::Broken(error)),
        }
    }

    /// Passes chunks to the writer until the server, the writer, the limit or a cancellation ends it.
    async fn pump(
        &self,
        body: ImageBody,
        missing: u64,
        attempts: &mut Attempts,
        begins: bool,
        sender: mpsc::Sender<Bytes>,
    ) -> Result<Ended, DownloadError> {
        let (mut body, mut missing) = (body, missing);
        loop {
            let chunk = match self.or_cancelled(body.next(&mut attempts.floor)).await? {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Ended::All),
                Err(error) => return Ok(Ended::Broken(error)),
            };
            if begins {
                attempts.came.begins_with(&chunk);
            }
            if chunk.len() as u64 > missing {
                return Ok(Ended::TooLong);
            }
            missing -= chunk.len() as u64;
            self.client.settings().metrics.fetched(Work::Image, chunk.len() as u64);
            self.or_cancelled(self.bandwidth.pay(chunk.len())).await?;
            // The queue is closed if the writer failed. The writer returns the error.
            if self.or_cancelled(sender.send(chunk)).await?.is_err() || missing == 0 && !body.ends_surely() {
                return Ok(Ended::All);
            }
        }
    }
}

/// Writes until the queue is closed. Always returns the partial download.
fn write_all(
    partial: Partial,
    mut queue: mpsc::Receiver<Bytes>,
    progress: &Progress,
) -> (Partial, Result<(), CacheError>) {
    let mut partial = partial;
    while let Some(chunk) = queue.blocking_recv() {
        if let Err(error) = partial.append(&chunk) {
            return (partial, Err(error));
        }
        progress.set_bytes(partial.length());
    }
    (partial, Ok(()))
}
