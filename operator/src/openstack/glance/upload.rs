//! The body of an upload, from a file ("Upload binary image data").
//!
//! The file is read in chunks while it is sent, so the memory is constant. The last chunk is sent only if the file ends
//! where it should: otherwise the connection is closed early, and Glance sets the image back to `queued`.
//!
//! A server may refuse an upload before it reads the data, and close the connection. If that happens while data is being
//! written, the error of the write can hide the answer. So the first chunk waits a moment for such an answer. Later, the
//! connection mostly waits for the server, and then reads an answer before it writes on. If an answer is hidden all the same,
//! the next upload gets it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};
use reqwest::RequestBuilder;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use crate::cloud::LeadershipGuard;
use crate::cloud::http::last_cause;
use crate::openstack::connection::Timeouts;
use crate::openstack::error::OpenStackError;
use crate::openstack::transport::{Answer, Call};

/// How much of the file is in memory, in bytes; the connection holds up to as much again.
const CHUNK: usize = 256 << 10;

/// How long the first chunk waits for an early answer.
const EARLY: Duration = Duration::from_millis(100);

/// How often it is checked whether an upload moves and is still permitted.
const TICK: Duration = Duration::from_secs(1);

/// How much of a response to an upload is read, in bytes. A success has no body.
const LONGEST_ANSWER: usize = 64 << 10;

/// An upload.
#[derive(Debug)]
pub(in crate::openstack) struct Upload {
    size: u64,
    sent: Arc<AtomicU64>,
    permit: LeadershipGuard,
    /// When the last chunk was taken.
    moved: Mutex<Instant>,
    /// Why the file was not sent to its end.
    stopped: OnceLock<Stop>,
    /// Whether the result is known. The connection may then still ask for chunks, after an early answer.
    over: AtomicBool,
}

/// Why the file was not sent to its end.
#[derive(Debug, Clone, thiserror::Error)]
enum Stop {
    #[error("no permit")]
    NotLeading,
    #[error("{0}")]
    File(String),
    #[error("answered before the end")]
    Over,
}

/// A file that is being read.
struct Reading {
    upload: Arc<Upload>,
    file: File,
    left: u64,
}

/// Ends an upload when its result is known, or when nothing waits for it any more.
struct Ending<'a>(&'a Upload);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

impl Upload {
    pub(in crate::openstack) fn new(size: u64, sent: Arc<AtomicU64>, permit: LeadershipGuard) -> Arc<Self> {
        sent.store(0, Ordering::SeqCst);
        let (moved, stopped) = (Mutex::new(Instant::now()), OnceLock::new());
        Arc::new(Self { size, sent, permit, moved, stopped, over: AtomicBool::new(false) })
    }

    /// Sends a request with the file as its body.
    pub(in crate::openstack) async fn send(
        self: &Arc<Self>,
        call: Call<'_>,
        request: RequestBuilder,
        file: File,
        timeouts: Timeouts,
    ) -> Result<Answer, OpenStackError> {
        let _ending = Ending(self);
        let body = reqwest::Body::wrap_stream(self.chunks(file));
        let exchange = async {
            let response = request.body(body).send().await.map_err(|error| self.broken(call, &error))?;
            let answer = tokio::time::timeout(timeouts.call, call.read(response, LONGEST_ANSWER)).await;
            answer.unwrap_or_else(|_| Err(call.timed_out(timeouts.call)))
        };
        let answer = tokio::select! {
            biased;
            answer = exchange => answer?,
            error = self.watch(call, timeouts) => return Err(error),
        };
        if answer.status.is_success() && self.sent() < self.size {
            let found = format!("{} after {} of {} bytes", answer.status, self.sent(), self.size);
            return Err(call.unexpected("an answer after the whole image", found));
        }
        Ok(answer)
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// The file in chunks.
    fn chunks(self: &Arc<Self>, file: File) -> impl Stream<Item = Result<Bytes, Stop>> + Send + use<> {
        let reading = Reading { upload: Arc::clone(self), file, left: self.size };
        stream::try_unfold(reading, async |mut reading| {
            if reading.left == 0 {
                return Ok(None);
            }
            let upload = Arc::clone(&reading.upload);
            let chunk = reading.next().await.inspect_err(|stop| {
                let _ = upload.stopped.set(stop.clone());
            })?;
            Ok(Some((chunk, reading)))
        })
    }

    /// Waits until the upload does not move for too long, or is not permitted any more.
    async fn watch(&self, call: Call<'_>, timeouts: Timeouts) -> OpenStackError {
        loop {
            let is_sent = self.sent() >= self.size;
            let limit = if is_sent { timeouts.finish } else { timeouts.stall };
            let due = *self.moved.lock().unwrap_or_else(PoisonError::into_inner) + limit;
            let now = Instant::now();
            if now >= due {
                return call.timed_out(limit);
            }
            if !is_sent && !self.permit.is_valid() {
                return OpenStackError::NotLeading { call: call.name };
            }
            tokio::time::sleep_until(due.min(now + TICK)).await;
        }
    }

    /// Why no answer came. A stop of our own precedes the error of the connection that it caused.
    fn broken(&self, call: Call<'_>, error: &reqwest::Error) -> OpenStackError {
        match self.stopped.get() {
            Some(Stop::NotLeading) => OpenStackError::NotLeading { call: call.name },
            Some(Stop::File(found)) => OpenStackError::File { call: call.name, size: self.size, found: found.clone() },
            Some(Stop::Over) | None if self.sent() == 0 => call.unreachable(error),
            Some(Stop::Over) | None => OpenStackError::UploadBroken {
                call: call.name,
                endpoint: call.shown(),
                sent: self.sent(),
                size: self.size,
                message: last_cause(error),
            },
        }
    }
}

impl Reading {
    /// The next chunk, checked and counted.
    async fn next(&mut self) -> Result<Bytes, Stop> {
        if self.left == self.upload.size {
            tokio::time::sleep(EARLY).await;
        }
        if self.upload.over.load(Ordering::SeqCst) {
            return Err(Stop::Over);
        }
        if !self.upload.permit.is_valid() {
            return Err(Stop::NotLeading);
        }
        let failed = |error: std::io::Error| Stop::File(format!("an error of reading: {error}"));
        let most = CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK));
        let mut chunk = BytesMut::with_capacity(most);
        while chunk.len() < most {
            let wanted = most - chunk.len();
            let wanted = u64::try_from(wanted).unwrap_or(self.left);
            if (&mut self.file).take(wanted).read_buf(&mut chunk).await.map_err(failed)? == 0 {
                let end = self.upload.size - self.left + u64::try_from(chunk.len()).unwrap_or_default();
                return Err(Stop::File(format!("{end} bytes")));
            }
        }
        let count = u64::try_from(chunk.len()).unwrap_or(self.left);
        if count == self.left && self.file.read(&mut [0]).await.map_err(failed)? > 0 {
            return Err(Stop::File("more bytes".to_owned()));
        }
        self.left -= count;
        self.upload.sent.fetch_add(count, Ordering::SeqCst);
        *self.upload.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(chunk.freeze())
    }
}
