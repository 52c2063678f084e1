//! Images by digest: `GET` and `HEAD` of `/images/<ticket>/<sha512>.<format>`, or with several shards on one volume of
//! `/images/<shard>/<ticket>/<sha512>.<format>`.
//!
//! A cloud that pulls an image sends several `HEAD` requests, needs an exact `Content-Length`, and resumes an
//! interrupted transfer with a range request. Only verified bytes are served, and only with a valid ticket.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;

use super::file_body::file_body;
use super::known_blobs::KnownBlobs;
use super::plain;
use super::served_volume::{ServedVolume, Unserved};
use super::ticket::Clock;
use crate::cache::{ShardFolder, VerifiedBlob};
use crate::metrics::Metrics;

/// The image server. It only reads the volume, so it also works while another process owns the volume, for example
/// while this operator waits for its turn.
#[derive(Clone)]
pub struct ImageServer {
    volumes: Arc<Volumes>,
    /// The images of earlier requests.
    known: Arc<KnownBlobs>,
    clock: Clock,
    metrics: Metrics,
}

/// Where the images are.
enum Volumes {
    /// On one volume.
    One(ServedVolume),
    /// In the folders of shards on one volume, by the index of the shard. A folder need not exist.
    OfShards(Vec<ServedVolume>),
}

/// What a request is for: the volume, the ticket, and the file.
struct Wanted {
    shard: Option<ShardFolder>,
    ticket: String,
    file: String,
}

impl ImageServer {
    /// Serves the images of the volume in this folder, which need not exist yet. Responses are counted in `metrics`.
    pub fn new(volume: PathBuf, clock: Clock, metrics: Metrics) -> Self {
        Self::of(Volumes::One(ServedVolume::new(volume)), clock, metrics)
    }

    /// Serves the images of all shards that have a folder on this volume, whichever program works for them. A folder may
    /// appear later. An address that names a shard is valid for what is in its folder, by its key.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the same form as `new`, so that a caller can choose one of them"
    )]
    pub fn of_shards(volume: PathBuf, clock: Clock, metrics: Metrics) -> Self {
        let volumes = ShardFolder::all().map(|shard| ServedVolume::of_shard(&volume, shard)).collect();
        Self::of(Volumes::OfShards(volumes), clock, metrics)
    }

    fn of(volumes: Volumes, clock: Clock, metrics: Metrics) -> Self {
        Self { volumes: Arc::new(volumes), known: Arc::default(), clock, metrics }
    }

    fn volume(&self, wanted: &Wanted) -> Option<&ServedVolume> {
        match (&*self.volumes, wanted.shard) {
            (Volumes::One(volume), None) => Some(volume),
            (Volumes::OfShards(volumes), Some(shard)) => volumes.get(usize::from(shard.index())),
            (Volumes::One(_), Some(_)) | (Volumes::OfShards(_), None) => None,
        }
    }

    /// The image that a ticket permits, if it was there within the last second. Clouds send several `HEAD` requests in a
    /// row, and only the first one waits for the volume.
    fn recent(&self, wanted: &Wanted) -> Option<VerifiedBlob> {
        let address = (wanted.ticket.as_str(), wanted.file.as_str());
        self.volume(wanted)?.recent(&self.known, address, (self.clock)())
    }

    /// The image that a ticket permits; `None` if it is not on the volume.
    fn blob(&self, wanted: &Wanted) -> Result<Option<VerifiedBlob>, Unserved> {
        let address = (wanted.ticket.as_str(), wanted.file.as_str());
        self.volume(wanted).ok_or(Unserved::NoShard)?.blob(&self.known, address, (self.clock)())
    }
}

/// The routes, for `GET` and `HEAD`: `/images/{ticket}/{file}`, or for several shards `/images/{shard}/{ticket}/{file}`.
pub fn router(server: ImageServer) -> Router {
    let route = match &*server.volumes {
        Volumes::One(_) => Router::new().route("/images/{ticket}/{file}", get(serve_one)),
        Volumes::OfShards(_) => Router::new().route("/images/{shard}/{ticket}/{file}", get(serve_shard)),
    };
    route.with_state(server)
}

async fn serve_one(
    State(server): State<ImageServer>,
    Path((ticket, file)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    serve(&server, Ok(Wanted { shard: None, ticket, file }), (&method, &headers)).await
}

async fn serve_shard(
    State(server): State<ImageServer>,
    Path((shard, ticket, file)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let shard = shard.parse().map_err(|_| Unserved::NoShard);
    serve(&server, shard.map(|shard| Wanted { shard: Some(shard), ticket, file }), (&method, &headers)).await
}

async fn serve(
    server: &ImageServer,
    wanted: Result<Wanted, Unserved>,
    request: (&Method, &HeaderMap),
) -> Response<Body> {
    let response = match wanted {
        Ok(wanted) => respond(server, wanted, request).await,
        Err(unserved) => refusal(unserved),
    };
    server.metrics.served(response.status().as_u16());
    response
}

async fn respond(server: &ImageServer, wanted: Wanted, request: (&Method, &HeaderMap)) -> Response<Body> {
    if request.0 == Method::HEAD
        && let Some(blob) = server.recent(&wanted)
    {
        return found(&blob, request, sent(server)).await;
    }
    let own = server.clone();
    // In a thread of its own, so that a hanging volume does not block other responses.
    let looked = tokio::task::spawn_blocking(move || own.blob(&wanted)).await;
    match looked.unwrap_or_else(|error| Err(Unserved::NoVolume(error.to_string()))) {
        Ok(Some(blob)) => found(&blob, request, sent(server)).await,
        Ok(None) => not_there(),
        Err(unserved) => refusal(unserved),
    }
}

/// The response if the volume has no such image.
fn not_there() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "no image with that digest is on the volume")
}

/// The response if it is not even looked for.
fn refusal(unserved: Unserved) -> Response<Body> {
    match unserved {
        Unserved::Ticket(error) => plain(StatusCode::FORBIDDEN, &error.to_string()),
        Unserved::NoShard => plain(StatusCode::NOT_FOUND, "the volume has no such shard"),
        Unserved::NoVolume(error) => {
            tracing::warn!(%error, "no image can be served");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the volume cannot be read")
        }
        Unserved::Damaged(error) => {
            tracing::warn!(%error, "an image cannot be served");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the volume cannot be read")
        }
    }
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
        // It was taken out of use since it was looked at.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle) => not_there(),
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
