//! Images by their digest: `GET` and `HEAD` of `/images/<ticket>/<sha512>.<format>`.
//!
//! A cloud that pulls an image asks for its head several times, needs an exact `Content-Length`, and goes on with a
//! range where it was cut off. Only bytes that were verified are served, and only to who has a ticket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::range::{Wanted, wanted};
use super::ticket::{Clock, Tickets};
use crate::cache::{VerifiedBlob, Volume};

/// How much is read from the volume at once.
const CHUNK: usize = 256 * 1024;

/// What images are served from.
#[derive(Clone)]
pub struct ImageServer {
    /// The volume.
    pub volume: Volume,
    /// Who may fetch what.
    pub tickets: Arc<Tickets>,
    /// What time it is.
    pub clock: Clock,
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
    let digest = match server.tickets.check(&ticket, &file, (server.clock)()) {
        Ok(digest) => digest,
        Err(error) => return plain(StatusCode::FORBIDDEN, &error.to_string()),
    };
    let blob = match server.volume.blob(&digest) {
        Ok(Some(blob)) => blob,
        Ok(None) => return plain(StatusCode::NOT_FOUND, "nothing of that digest is on the volume"),
        Err(error) => {
            tracing::warn!(%error, "an image cannot be served");
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the volume cannot be read");
        }
    };
    match answer(&blob, &method, &headers).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, path = %blob.path().display(), "an image cannot be served");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the volume cannot be read")
        }
    }
}

async fn answer(blob: &VerifiedBlob, method: &Method, headers: &HeaderMap) -> std::io::Result<Response<Body>> {
    let size = blob.size();
    let tag = format!("\"{}\"", blob.digest());
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A range of another file than the asker began with is of no use to it (RFC 9110 section 13.1.5).
    let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|known| known == tag));
    let (status, first, length) = match wanted(range, size) {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Unsatisfiable => {
            let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, "nothing of that range is there");
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let mut file = tokio::fs::File::open(blob.path()).await?;
        file.seek(std::io::SeekFrom::Start(first)).await?;
        Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK))
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

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    response
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    // All values are made of digits, digests and constants; one that were none would be left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
