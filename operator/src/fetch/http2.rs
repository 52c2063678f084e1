//! HTTP/2: what is asked for over it, its limits, and what is known of servers.
//!
//! Documents and small images share one connection to a server that negotiates HTTP/2 in its TLS handshake (RFC 7301).
//! Large images have connections with HTTP/1.1: one TCP connection for several is not faster, loses more when a packet is
//! lost, and has windows that are too small for long distances. What fails over HTTP/2 before its head is asked for
//! again over HTTP/1.1, because GET and HEAD are idempotent (RFC 9110 section 9.2.2).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Body as _;
use reqwest::{ClientBuilder, Response, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use url::{Origin, Url};

use crate::text::{cause, with_causes};

/// The maximum size of an image that is asked for over HTTP/2, in bytes.
pub const SMALL_IMAGE: u64 = 4 << 20;

/// The maximum number of answers at the same time over HTTP/2. More have HTTP/1.1.
const STREAMS: u16 = 16;

/// The bytes of one answer that may wait in memory (RFC 9113 section 5.2).
const STREAM_WINDOW: u32 = 1 << 20;

/// The same for a connection: as many as all its answers may have, so that none waits because another is not read.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;

/// The maximum size of a frame, in bytes: the smallest maximum (RFC 9113 section 4.2).
const LARGEST_FRAME: u32 = 16 << 10;

/// The maximum size of the headers of an answer, in bytes (RFC 9113 section 6.5.2).
const LARGEST_HEAD: u32 = 64 << 10;

/// How long nothing comes over a connection with answers in progress before its server is asked for a sign, and how long
/// that may take. A dead connection would stop all that use it.
const QUIET: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server whose HTTP/2 failed is asked over HTTP/1.1.
const AVOIDED_FOR: Duration = Duration::from_mins(10);

/// The maximum number of servers that are known.
const MOST_KNOWN: usize = 256;

/// What a request may be answered over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    /// HTTP/2 if the server has it, over one connection for all; else HTTP/1.1.
    Negotiated,
    /// HTTP/1.1.
    Http1,
}

impl Protocol {
    /// Sets up the connections.
    pub(super) fn set_up(self, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::Http1 => builder.http1_only(),
            Self::Negotiated => builder
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .http2_max_frame_size(LARGEST_FRAME)
                .http2_max_header_list_size(LARGEST_HEAD)
                .http2_keep_alive_interval(QUIET)
                .http2_keep_alive_timeout(PATIENCE),
        }
    }
}

/// The answers in progress, and the servers that are known. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    streams: Arc<Semaphore>,
    servers: watch::Sender<HashMap<Origin, Server>>,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy)]
enum Server {
    /// It answered over HTTP/2.
    HasHttp2,
    /// Its HTTP/2 failed at this time.
    Failed(Instant),
}

/// The place for one answer over HTTP/2. It is released when dropped.
#[derive(Debug)]
pub(super) struct Stream {
    _place: OwnedSemaphorePermit,
    origin: Origin,
    http2: Http2,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { streams: Arc::new(Semaphore::new(STREAMS.into())), servers: watch::Sender::default() }
    }
}

impl Http2 {
    /// A place for an answer of a server. `None` if its HTTP/2 failed, if all places are taken, or without TLS.
    pub(super) fn stream(&self, url: &Url) -> Option<Stream> {
        let origin = url.origin();
        if url.scheme() != "https" || self.is_avoided(&origin) {
            return None;
        }
        let place = self.streams.clone().try_acquire_owned().ok()?;
        Some(Stream { _place: place, origin, http2: self.clone() })
    }

    fn is_avoided(&self, origin: &Origin) -> bool {
        match self.servers.borrow().get(origin) {
            Some(Server::Failed(since)) => since.elapsed() < AVOIDED_FOR,
            Some(Server::HasHttp2) | None => false,
        }
    }

    fn learn(&self, origin: &Origin, server: Server) {
        self.servers.send_if_modified(|servers| {
            let known = servers.get(origin);
            if matches!((known, server), (Some(Server::HasHttp2), Server::HasHttp2)) {
                return false;
            }
            if servers.len() >= MOST_KNOWN {
                servers.clear();
            }
            servers.insert(origin.clone(), server);
            true
        });
    }

    /// Waits until a server is known to have HTTP/2. Never ends if it has not.
    pub(super) async fn until_known(&self, origin: Origin) {
        let mut servers = self.servers.subscribe();
        let known = servers.wait_for(|servers| matches!(servers.get(&origin), Some(Server::HasHttp2))).await.is_ok();
        if !known {
            std::future::pending::<()>().await;
        }
    }
}

impl Stream {
    /// The place of an answer, if it came over HTTP/2.
    pub(super) fn of(self, response: &Response) -> Option<Self> {
        if response.version() != Version::HTTP_2 {
            return None;
        }
        self.http2.learn(&self.origin, Server::HasHttp2);
        Some(self)
    }

    /// Notes an error. From then on the server is asked over HTTP/1.1 for a while, unless it only did not take the
    /// request (RFC 9113 section 8.7) or ended the connection.
    pub(super) fn failed(&self, error: &reqwest::Error) {
        let reason = cause::<h2::Error>(error).and_then(h2::Error::reason);
        if reason.is_some_and(|reason| ![h2::Reason::NO_ERROR, h2::Reason::REFUSED_STREAM].contains(&reason)) {
            self.http2.learn(&self.origin, Server::Failed(Instant::now()));
        }
    }
}

/// Whether a request found no connection by itself, and not because another one, whose handshake of HTTP/2 it waited for,
/// had none. The HTTP client has no public type for that.
pub(super) fn is_unreachable(error: &reqwest::Error) -> bool {
    error.is_connect() && !with_causes(error).contains("cancel")
}

/// Whether an answer whose bytes have all been read is whole. The HTTP client takes a stream of HTTP/2 that was reset
/// without an error, or ended with its connection, for the end of the answer (RFC 9113 section 8.1).
pub(super) fn is_whole(response: Response) -> bool {
    response.version() != Version::HTTP_2 || reqwest::Body::from(response).is_end_stream()
}

/// The text of an error of HTTP/2, without the words of the server, which may be of any length. `None` for other errors.
pub(super) fn explained(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let error = cause::<h2::Error>(error)?;
    let Some(reason) = error.reason() else {
        return Some(format!("the connection with HTTP/2 failed: {}", with_causes(error)));
    };
    let who = if error.is_remote() { "the server" } else { "this program" };
    let what = if error.is_go_away() { "ended the connection" } else { "stopped the answer" };
    Some(format!("HTTP/2: {who} {what} with {reason:?} ({reason})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_server_is_asked_over_http2_until_it_fails_and_places_are_limited() {
        let http2 = Http2::default();
        let (one, other) = (url("https://a/x"), url("https://a:444/x"));
        assert!(http2.stream(&url("http://a/x")).is_none(), "without TLS");
        let places: Vec<Stream> = (0..STREAMS).map(|_| http2.stream(&one).unwrap()).collect();
        assert!(http2.stream(&other).is_none(), "all places are taken");
        http2.learn(&one.origin(), Server::HasHttp2);
        http2.until_known(one.origin()).await;
        drop(places);
        assert!(http2.stream(&other).is_some());
        http2.learn(&one.origin(), Server::Failed(Instant::now()));
        assert!(http2.stream(&one).is_none() && http2.stream(&other).is_some());
        (0..2 * MOST_KNOWN).for_each(|n| http2.learn(&url(&format!("https://h{n}/")).origin(), Server::HasHttp2));
        assert!(http2.servers.borrow().len() <= MOST_KNOWN);
    }

    #[test]
    fn an_error_is_told_by_its_name_and_without_words_of_the_server() {
        let error = h2::Error::from(h2::Reason::REFUSED_STREAM);
        let told = explained(&error).unwrap();
        assert!(told.contains("REFUSED_STREAM (refused stream before processing any application logic)"), "{told}");
        assert_eq!(explained(&std::fmt::Error), None);
    }
}
