//! One bounded document: a signed image list, a certificate revocation list.

use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};

use super::answer::Answer;
use super::came::Came;
use super::client::Client;
use super::error::FetchError;
use super::request::refused;
use super::source::Source;
use super::validator::{self, Validator};
use crate::imagelist::SourceUrl;
use crate::metrics::Work;

/// The most bytes of a list: 64 MiB, far above the largest seen (1 MiB for 50,000 images would be 50 MiB).
pub const LIST_LIMIT: u64 = 64 * 1024 * 1024;

/// What a server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListAnswer {
    /// Still what the validator named (304).
    NotModified {
        /// The server's `Date`.
        date: Option<Timestamp>,
    },
    /// The document.
    Body {
        /// The document, whole.
        bytes: Vec<u8>,
        /// What to send with the next request.
        validator: Option<Validator>,
        /// The server's `Date`.
        date: Option<Timestamp>,
        /// What the answer says of itself, for whoever finds that this is no list.
        came: Box<Came>,
    },
}

impl Client {
    /// Fetches a document of at most `limit` bytes (for lists [`LIST_LIMIT`]) within `timeout`, redirects included;
    /// unless it is still the one that `previous` names.
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
        let late = |_| FetchError::Timeout {
            url: source.url.clone(),
            message: format!("expected the whole answer within {timeout:?}"),
        };
        let fetched = tokio::time::timeout(timeout, work).await.map_err(late).flatten();
        let metrics = &self.settings.metrics;
        match &fetched {
            Ok(ListAnswer::Body { bytes, .. }) => metrics.fetched(Work::List, bytes.len() as u64),
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
                let (bytes, came) = read_body(&source.url, answer, limit).await?;
                Ok(ListAnswer::Body { bytes, validator, date, came })
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
        let read = tokio::task::spawn_blocking(move || read_local(&address, limit)).await;
        let stopped = |error: tokio::task::JoinError| FetchError::File { url: url.clone(), message: error.to_string() };
        let bytes = read.map_err(stopped)??;
        let mut came = Box::new(Came::default());
        came.begins_with(&bytes);
        Ok(ListAnswer::Body { bytes, validator: None, date: None, came })
    }
}

/// `If-None-Match` where there is a tag, else `If-Modified-Since` (RFC 9110 section 13.1.3).
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

async fn read_body(url: &SourceUrl, answer: Answer, limit: u64) -> Result<(Vec<u8>, Box<Came>), FetchError> {
    let too_large = |found: String| FetchError::TooLarge { url: url.clone(), limit, found };
    if let Some(length) = answer.length().filter(|length| *length > limit) {
        return Err(too_large(length.to_string()));
    }
    let (mut body, mut came) = answer.decoded();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await? {
        if bytes.len() as u64 + chunk.len() as u64 > limit {
            return Err(too_large("more".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    came.begins_with(&bytes);
    Ok((bytes, Box::new(came)))
}

fn read_local(url: &SourceUrl, limit: u64) -> Result<Vec<u8>, FetchError> {
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
    Ok(bytes)
}
