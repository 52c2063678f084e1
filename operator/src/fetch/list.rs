//! Fetches one document of limited size: a signed image list or a certificate revocation list.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use tracing::field::Empty;

use super::answer::Answer;
use super::came::{Came, HEAD};
use super::client::Client;
use super::document::{Arriving, Document};
use super::error::FetchError;
use super::request::refused;
use super::source::Source;
use super::validator::{self, Validator};
use crate::imagelist::SourceUrl;
use crate::metrics::{Work, traced};

/// The result of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListAnswer {
    /// The document has not changed (304).
    NotModified {
        /// The server's `Date`.
        date: Option<Timestamp>,
    },
    /// The document.
    Body {
        /// The whole document.
        document: Document,
        /// The validator to send with the next request.
        validator: Option<Validator>,
        /// The server's `Date`.
        date: Option<Timestamp>,
        /// The description of the response, for a message if this is not a list.
        came: Box<Came>,
    },
}

impl Client {
    /// Fetches a document of at most `limit` bytes (for lists, `list_limit` of the settings) within `timeout`,
    /// redirects included. It is not fetched again if `previous` still matches.
    pub async fn fetch_list(
        &self,
        source: &Source,
        previous: Option<&Validator>,
        timeout: Duration,
        limit: u64,
    ) -> Result<ListAnswer, FetchError> {
        let work = async {
            if source.url.is_remote() {
                self.fetch_remote(source, previous, limit).await
            } else {
                self.read_file(&source.url, limit).await
            }
        };
        let span = tracing::info_span!(
            "fetch", url = %source.url, otel.kind = "client", otel.status_description = Empty
        );
        let late = |_| FetchError::Timeout {
            url: source.url.clone(),
            message: format!("expected the whole answer within {timeout:?}"),
        };
        let work = async { tokio::time::timeout(timeout, work).await.map_err(late).flatten() };
        let fetched = traced(span, Box::pin(work)).await;
        let metrics = &self.settings.metrics;
        match &fetched {
            Ok(ListAnswer::Body { document, .. }) => metrics.fetched(Work::List, document.size()),
            Ok(ListAnswer::NotModified { .. }) => {}
            Err(error) => metrics.retried(Work::List, error.reason()),
        }
        fetched
    }

    async fn fetch_remote(
        &self,
        source: &Source,
        previous: Option<&Validator>,
        limit: u64,
    ) -> Result<ListAnswer, FetchError> {
        let answer = self.get(source, &conditions(previous)).await?;
        let date = validator::date(answer.headers());
        match answer.status() {
            StatusCode::OK => {
                let validator = Validator::of(answer.headers());
                let (document, came) = self.read_body(&source.url, answer, limit).await?;
                Ok(ListAnswer::Body { document, validator, date, came })
            }
            StatusCode::NOT_MODIFIED if previous.is_some() => Ok(ListAnswer::NotModified { date }),
            _ => Err(refused(&source.url, answer, Timestamp::now()).await),
        }
    }

    async fn read_file(&self, url: &SourceUrl, limit: u64) -> Result<ListAnswer, FetchError> {
        if !self.settings.allow_files {
            let message = "expected http or https, found file: local lists are read without a cluster only".to_owned();
            return Err(FetchError::UrlInvalid { url: url.clone(), message });
        }
        let address = url.clone();
        let folder = self.settings.documents.clone();
        let read = tokio::task::spawn_blocking(move || read_local(&address, limit, folder.as_deref())).await;
        let stopped = |error: tokio::task::JoinError| FetchError::File { url: url.clone(), message: error.to_string() };
        let document = read.map_err(stopped)??;
        let mut came = Box::new(Came::default());
        came.begins_with(&document.begin(HEAD as u64).unwrap_or_default());
        Ok(ListAnswer::Body { document, validator: None, date: None, came })
    }

    /// Reads the body. `Content-Length` is not trusted: the received bytes are counted.
    pub(super) async fn read_body(
        &self,
        url: &SourceUrl,
        answer: Answer,
        limit: u64,
    ) -> Result<(Document, Box<Came>), FetchError> {
        let too_large = |found: String| FetchError::TooLarge { url: url.clone(), limit, found };
        let kept = |error: std::io::Error| FetchError::NotKept { url: url.clone(), message: error.to_string() };
        if let Some(length) = answer.length().filter(|length| *length > limit) {
            return Err(too_large(length.to_string()));
        }
        let (mut body, mut came) = answer.decoded();
        let mut arriving = Arriving::new(self.settings.documents.as_deref());
        while let Some(chunk) = body.next().await? {
            if arriving.size() + chunk.len() as u64 > limit {
                return Err(too_large("more".to_owned()));
            }
            came.begins_with(&chunk);
            arriving.push(chunk).await.map_err(kept)?;
        }
        Ok((arriving.finish(), Box::new(came)))
    }
}

/// `If-None-Match` if there is an `ETag`, otherwise `If-Modified-Since` (RFC 9110 section 13.1.3).
fn conditions(previous: Option<&Validator>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(previous) = previous else { return headers };
    let (name, value) = match (&previous.etag, &previous.last_modified) {
        (Some(etag), _) => (IF_NONE_MATCH, etag),
        (None, Some(modified)) => (IF_MODIFIED_SINCE, modified),
        (None, None) => return headers,
    };
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
    headers
}

fn read_local(url: &SourceUrl, limit: u64, folder: Option<&Path>) -> Result<Document, FetchError> {
    let failed = |message: String| FetchError::File { url: url.clone(), message };
    let path = url.url().to_file_path().map_err(|()| failed("expected an absolute path".to_owned()))?;
    let about = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?;
    if !about.is_file() {
        return Err(failed("expected a regular file, found something else".to_owned()));
    }
    let file = std::fs::File::open(&path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(FetchError::TooLarge { url: url.clone(), limit, found: about.len().to_string() });
    }
    Document::put_by(bytes, folder)
        .map_err(|error| FetchError::NotKept { url: url.clone(), message: error.to_string() })
}
