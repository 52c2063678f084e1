//! Images by digest: `GET` and `HEAD` of `/images/<ticket>/<sha512>.<format>`.
//!
//! A cloud that pulls an image sends several `HEAD` requests, needs an exact `Content-Length`, and resumes an
//! interrupted transfer with a range request. Only verified bytes are served, and only with a valid ticket.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;

use super::file_body::file_body;
use super::known_blobs::KnownBlobs;
use super::plain;
use super::ticket::{Clock, TicketError, Tickets};
use crate::cache::{VerifiedBlob, Volume};
use crate::metrics::Metrics;

/// The image server. It only reads the volume, so it also works while another process owns the volume, for example
/// while this operator waits for its turn.
#[derive(Clone)]
pub struct ImageServer {
    volume: Arc<FilePath>,
    /// Read from the volume at the first request, once the key exists.
    tickets: Arc<OnceLock<Tickets>>,
    /// The images of earlier requests.
    known: Arc<KnownBlobs>,
    clock: Clock,
    metrics: Metrics,
}

/// Why an image cannot be served.
enum Unserved {
    Ticket(TicketError),
    NoVolume(String),
    Damaged(String),
}

impl ImageServer {
    /// Serves the images of the volume in this folder, which need not exist yet. Responses are counted in `metrics`.
    pub fn new(volume: PathBuf, clock: Clock, metrics: Metrics) -> Self {
        Self { volume: volume.into(), tickets: Arc::default(), known: Arc::default(), clock, metrics }
    }

    /// The image that a ticket permits, if it was there within the last second. Clouds send several `HEAD` requests in a
    /// row, and only the first one waits for the volume.
    fn recent(&self, ticket: &str, file: &str) -> Option<VerifiedBlob> {
        self.known.recent(&self.tickets.get()?.check(ticket, file, (self.clock)()).ok()?)
    }

    /// The image that a ticket permits; `None` if it is not on the volume.
    fn blob(&self, ticket: &str, file: &str) -> Result<Option<VerifiedBlob>, Unserved> {
        let check = |tickets: &Tickets| tickets.check(ticket, file, (self.clock)()).map_err(Unserved::Ticket);
        if let Some(tickets) = self.tickets.get()
            && let Some(known) = self.known.get(&check(tickets)?)
        {
            return Ok(Some(known));
        }
        let volume = Volume::read_only(&self.volume).map_err(|error| Unserved::NoVolume(error.to_string()))?;
        let tickets = match self.tickets.get() {
            Some(tickets) => tickets,
            None => match Tickets::read(&volume) {
                Ok(Some(tickets)) => self.tickets.get_or_init(|| tickets),
                Ok(None) => return Err(Unserved::NoVolume("no operator has owned this volume yet".to_owned())),
                Err(error) => return Err(Unserved::NoVolume(error.to_string())),
            },
        };
        let found = self.known.look(&volume, &check(tickets)?);
        found.map_err(|error| Unserved::Damaged(error.to_string()))
    }
}

/// The routes: `/images/{ticket}/{file}`, for `GET` and `HEAD`.
pub fn router(server: ImageServer) -> Router {
    Router::new().route("/images/{ticket}/{file}", get(serve)).with_state(server)
}

async fn serve(
    State(server): State<ImageServer>,
    Path((ticket, file)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let response = respond(&server, &ticket, &file, (&method, &headers)).await;
    server.metrics.served(response.status().as_u16());
    response
}

async fn respond(
    server: &ImageServer,
    ticket: &str,
    file: &str,
    (method, headers): (&Method, &HeaderMap),
) -> Response<Body> {
    if method == Method::HEAD
        && let Some(blob) = server.recent(ticket, file)
    {
        return found(&blob, (method, headers), sent(server)).await;
    }
    let (own, ticket, file) = (server.clone(), ticket.to_owned(), file.to_owned());
    // In a thread of its own, so that a hanging volume does not block other responses.
    let looked = tokio::task::spawn_blocking(move || own.blob(&ticket, &file)).await;
    let blob = match looked.unwrap_or_else(|error| Err(Unserved::NoVolume(error.to_string()))) {
        Ok(Some(blob)) => blob,
        Ok(None) => return plain(StatusCode::NOT_FOUND, "no image with that digest is on the volume"),
        Err(Unserved::Ticket(error)) => return plain(StatusCode::FORBIDDEN, &error.to_string()),
        Err(Unserved::NoVolume(error)) => {
            tracing::warn!(%error, "no image can be served");
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the volume cannot be read");
        }
        Err(Unserved::Damaged(error)) => {
            tracing::warn!(%error, "an image cannot be served");
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the volume cannot be read");
        }
    };
    found(&blob, (method, headers), sent(server)).await
}

/// Counts the bytes that are sent.
fn sent(server: &ImageServer) -> impl Fn(u64) + Send + 'static {
    let metrics = server.metrics.clone();
    move |bytes| metrics.served_bytes(bytes)
}

/// The response about an image that is there, with the range that the client wants. `sent` is called with the length of
/// each chunk when it is passed on.
pub(super) async fn found(
    blob: &VerifiedBlob,
    (method, headers): (&Method, &HeaderMap),
    sent: impl Fn(u64) + Send + 'static,
) -> Response<Body> {
    match answer(blob, method, headers, sent).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, path = %blob.path().display(), "an image cannot be served");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the volume cannot be read")
        }
    }
}

async fn answer(
    blob: &VerifiedBlob,
    method: &Method,
    headers: &HeaderMap,
    sent: impl Fn(u64) + Send + 'static,
) -> std::io::Result<Response<Body>> {
    let size = blob.size();
    let tag = format!("\"{}\"", blob.digest());
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A range is ignored if the client began with another file (`If-Range`, RFC 9110 section 13.1.5).
    let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|known| known == tag));
    let (status, first, length) = match wanted(range, size) {
        RequestedBytes::Whole => (StatusCode::OK, 0, size),
        RequestedBytes::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        RequestedBytes::Unsatisfiable => {
            let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, "the image has no bytes in that range");
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let file = tokio::fs::File::open(blob.path()).await?.into_std().await;
        file_body(file, first, length, sent)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::ETAG, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
    }
    Ok(response)
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    // The values consist of digits, digests and constants, so they are always valid header values.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The requested part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestedBytes {
    /// The whole file.
    Whole,
    /// From the first to the last byte, both counted from 0 and included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// No byte of the range exists in the file.
    Unsatisfiable,
}

/// Parses a `Range` header (RFC 9110 section 14) for a file of `size` bytes. A header that is not a single byte range is ignored, as the RFC
/// allows: then the whole file is wanted.
fn wanted(header: Option<&str>, size: u64) -> RequestedBytes {
    let range = header.and_then(|header| header.trim().strip_prefix("bytes=")).filter(|range| !range.contains(','));
    let Some((first, last)) = range.and_then(|range| range.trim().split_once('-')) else {
        return RequestedBytes::Whole;
    };
    let number = |text: &str| -> Result<Option<u64>, ()> {
        match text.trim() {
            "" => Ok(None),
            text if text.bytes().all(|c| c.is_ascii_digit()) => Ok(Some(text.parse().unwrap_or(u64::MAX))),
            _ => Err(()),
        }
    };
    match (number(first), number(last)) {
        (Ok(Some(first)), Ok(last)) => {
            let last = last.unwrap_or(u64::MAX);
            match (first < size, first <= last) {
                (_, false) => RequestedBytes::Whole,
                (false, true) => RequestedBytes::Unsatisfiable,
                (true, true) => RequestedBytes::Part { first, last: last.min(size - 1) },
            }
        }
        (Ok(None), Ok(Some(0))) => RequestedBytes::Unsatisfiable,
        (Ok(None), Ok(Some(_))) if size == 0 => RequestedBytes::Unsatisfiable,
        (Ok(None), Ok(Some(count))) => RequestedBytes::Part { first: size.saturating_sub(count), last: size - 1 },
        (Ok(None), Ok(None)) | (Err(()), _) | (_, Err(())) => RequestedBytes::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let part = |first, last| RequestedBytes::Part { first, last };
        let cases = [
            (None, RequestedBytes::Whole),
            (Some("bytes=0-0"), part(0, 0)),
            (Some("bytes=0-"), part(0, 99)),
            (Some("bytes=10-19"), part(10, 19)),
            (Some("bytes=90-1000"), part(90, 99)),
            (Some("bytes=-10"), part(90, 99)),
            (Some("bytes=-1000"), part(0, 99)),
            (Some("bytes=100-"), RequestedBytes::Unsatisfiable),
            (Some("bytes=-0"), RequestedBytes::Unsatisfiable),
            (Some("bytes=99999999999999999999999-"), RequestedBytes::Unsatisfiable),
            (Some("bytes=5-4"), RequestedBytes::Whole),
            (Some("bytes=0-1,5-6"), RequestedBytes::Whole),
            (Some("bytes=-"), RequestedBytes::Whole),
            (Some("bytes=a-b"), RequestedBytes::Whole),
            (Some("lines=1-2"), RequestedBytes::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 100), expected, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), RequestedBytes::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-5"), 0), RequestedBytes::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(header in "bytes=[0-9]{0,22}-[0-9]{0,22}|\\PC{0,20}", size in 0_u64..200) {
            if let RequestedBytes::Part { first, last } = wanted(Some(&header), size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
