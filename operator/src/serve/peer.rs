//! The TCP stream of a connection, which records whether its peer accepts data; and the body of a response, which
//! records when it was passed to the HTTP server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::connections::Progress;

/// The least number of bytes that a peer must accept within the stall time.
const LEAST: usize = 64 * 1024;

/// A stream that fails when its peer accepts almost no data of a response for too long.
pub(super) struct Peer {
    stream: TcpStream,
    stall: Duration,
    progress: Progress,
    /// Set from the time when a write had to wait until the peer has accepted enough data.
    waiting: Option<Waiting>,
}

struct Waiting {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, stall: Duration, progress: Progress) -> Self {
        Self { stream, stall, progress, waiting: None }
    }

    /// Passes on the result of a write. Starts or stops the timer for stalled peers.
    fn watch(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                self.progress.moves(false);
                if let Some(waiting) = &mut self.waiting {
                    waiting.taken += bytes;
                }
                if self.waiting.as_ref().is_some_and(|waiting| waiting.taken >= LEAST) {
                    self.waiting = None;
                }
            }
            Poll::Ready(Err(_)) => return written,
            Poll::Pending => {
                self.progress.waits();
                let until = Instant::now() + self.stall;
                let new = || Waiting { until: Box::pin(tokio::time::sleep_until(until)), taken: 0 };
                self.waiting.get_or_insert_with(new);
            }
        }
        let late = self.waiting.as_mut().is_some_and(|waiting| waiting.until.as_mut().poll(context).is_ready());
        if late { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { written }
    }
}

impl AsyncRead for Peer {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes after the system has accepted all data.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        this.waiting = None;
        this.progress.moves(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// The body of a response. It is dropped when it has been passed to the HTTP server.
pub(super) struct Answer {
    body: Body,
    progress: Progress,
}

impl Answer {
    pub(super) fn new(body: Body, progress: Progress) -> Self {
        Self { body, progress }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.progress.handed_over();
    }
}
