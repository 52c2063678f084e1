//! Fetches the bytes of an image from an offset on, as a stream.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tokio::time::{Instant, timeout};

use super::answer::{Answer, Body};
use super::came::Came;
use super::client::Client;
use super::error::FetchError;
use super::http2::Protocol;
use super::request::refused;
use super::source::Source;
use super::validator::Validator;
use crate::imagelist::SourceUrl;

/// The response of a server to a request for an image from an offset on.
#[derive(Debug)]
pub enum ImageAnswer {
    /// The bytes from `start` on: the requested part (206), or from 0 if the server sends the whole file (200).
    Bytes {
        /// The offset of the first byte.
        start: u64,
        /// The total length, if the server sent it.
        total: Option<u64>,
        /// The validator of this version of the file.
        validator: Option<Validator>,
        /// The stream of bytes.
        body: ImageBody,
        /// The description of the response, for a message if the bytes are wrong.
        came: Box<Came>,
    },
    /// A part (206) for which the server does not clearly state that it begins at the offset and goes to the end of the
    /// image.
    Unclear {
        /// The statement of the server.
        found: String,
    },
    /// There are no bytes at that offset (416).
    NoMore {
        /// The total length, if the server sent it.
        total: Option<u64>,
    },
}

/// A request for a part of an image.
#[derive(Debug, Clone, Copy)]
pub struct ImageRequest<'a> {
    /// The offset of the first byte.
    pub offset: u64,
    /// The length of the whole image. A response of this length is the image, even if it has a `Content-Encoding`.
    pub size: u64,
    /// The part is wanted only if this validator still matches the file.
    pub validator: Option<&'a Validator>,
    /// Do not decode the response, even if it has a `Content-Encoding`. Some servers set it for a file that is stored
    /// compressed.
    pub as_it_is: bool,
    /// The answer may share a connection with others (HTTP/2).
    pub shares: bool,
}

impl ImageRequest<'_> {
    fn protocol(&self) -> Protocol {
        if self.shares { Protocol::Negotiated } else { Protocol::Http1 }
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct ImageBody {
    url: SourceUrl,
    body: Box<Body>,
    until: Instant,
    total_timeout: Duration,
    chunked: bool,
}

/// The minimum rate: a source that sends less than `minimum` bytes per second over a waiting time of `window` is given
/// up.
///
/// It exists as long as a download, not only as long as a connection. So a server cannot block a slot by closing
/// connections. Only the time waiting for the network counts, not a slow disk or our own bandwidth limit.
#[derive(Debug)]
pub struct RateFloor {
    window: Duration,
    minimum: u64,
    waited: Duration,
    bytes: u64,
}

impl RateFloor {
    /// A minimum rate of `minimum` bytes per second over each `window`.
    pub fn new(window: Duration, minimum: u64) -> Self {
        Self { window, minimum, waited: Duration::ZERO, bytes: 0 }
    }

    /// Waits for data from the network; `None` if the rate fell below the minimum.
    async fn wait<T>(&mut self, work: impl Future<Output = T>, size: impl Fn(&T) -> u64) -> Option<T> {
        tokio::pin!(work);
        loop {
            let began = Instant::now();
            let came = timeout(self.window.saturating_sub(self.waited), &mut work).await.ok();
            self.waited += began.elapsed();
            self.bytes += came.as_ref().map_or(0, &size);
            if self.waited >= self.window {
                let enough = self.bytes >= self.minimum.saturating_mul(self.window.as_secs().max(1));
                self.waited = Duration::ZERO;
                self.bytes = 0;
                if !enough && came.is_none() {
                    return None;
                }
            }
            if came.is_some() {
                return came;
            }
        }
    }

    fn broken(&self, url: &SourceUrl) -> FetchError {
        let Self { window, minimum, .. } = self;
        let message = format!("expected at least {minimum} bytes a second over {window:?}, found less");
        FetchError::Timeout { url: url.clone(), message }
    }
}

impl Client {
    /// The minimum rate of the settings, for one download.
    pub fn rate_floor(&self) -> RateFloor {
        RateFloor::new(self.settings.stall_window, self.settings.minimum_rate)
    }

    /// The number of bytes of an image according to its server; `None` if it does not state it. One byte is requested,
    /// not a HEAD: signed addresses are good for one method only.
    pub async fn image_size(&self, source: &Source) -> Result<Option<u64>, FetchError> {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))]);
        let answer = tokio::time::timeout(self.settings.stall_window, self.get(source, &headers)).await;
        let late = |_| FetchError::Timeout {
            url: source.url.clone(),
            message: format!("expected an answer within {:?}", self.settings.stall_window),
        };
        let answer = answer.map_err(late)??;
        let content_range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        match answer.status() {
            // The length is that of the encoded bytes (RFC 9110 section 8.6).
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if answer.encoding().is_known() => Ok(None),
            StatusCode::OK => Ok(answer.length()),
            StatusCode::PARTIAL_CONTENT => Ok(content_range.and_then(total_in)),
            // An empty file has no first byte.
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(content_range.and_then(unsatisfied)),
            _ => Err(refused(&source.url, answer, Timestamp::now()).await),
        }
    }

    /// Requests an image from an offset on.
    pub async fn open_image(
        &self,
        source: &Source,
        request: &ImageRequest<'_>,
        floor: &mut RateFloor,
    ) -> Result<ImageAnswer, FetchError> {
        let offset = request.offset;
        let headers = range(offset, request.validator);
        let until = Instant::now() + self.settings.total_timeout;
        let answer = floor.wait(self.get_over(request.protocol(), source, &headers), |_| 0).await;
        let answer = answer.ok_or_else(|| floor.broken(&source.url))??;
        let validator = Validator::of(answer.headers());
        let content_range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let (start, total) = match answer.status() {
            StatusCode::OK => (0, answer.length()),
            StatusCode::PARTIAL_CONTENT if offset > 0 => {
                match content_range.and_then(|text| whole_rest(text, &answer)) {
                    Some(part) => part,
                    None => return Ok(ImageAnswer::Unclear { found: shown(content_range) }),
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if offset > 0 => {
                return Ok(ImageAnswer::NoMore { total: content_range.and_then(unsatisfied) });
            }
            _ => return Err(refused(&source.url, answer, Timestamp::now()).await),
        };
        let is_known = answer.encoding().is_known();
        let as_it_is = request.as_it_is || total == Some(request.size) || !is_known;
        if !as_it_is && start > 0 {
            // The range is over the encoded bytes (RFC 9110 section 14.1.2), whose offsets differ.
            let found = format!("a part that is encoded with {}", answer.encoding().name().unwrap_or_default());
            return Ok(ImageAnswer::Unclear { found });
        }
        let chunked = answer.ends_surely();
        let (body, came) = if as_it_is { answer.raw() } else { answer.decoded() };
        let total = total.filter(|_| as_it_is);
        let (url, body, total_timeout) = (source.url.clone(), Box::new(body), self.settings.total_timeout);
        let body = ImageBody { url, body, until, total_timeout, chunked };
        Ok(ImageAnswer::Bytes { start, total, validator, body, came: Box::new(came) })
    }
}

/// The part in the `Content-Range` of a response, if it is the whole rest of the file.
fn whole_rest(content_range: &str, answer: &Answer) -> Option<(u64, Option<u64>)> {
    let (start, total) = part(content_range)?;
    let fits = |(length, total): (u64, u64)| start.checked_add(length) == Some(total);
    answer.length().zip(total).is_none_or(fits).then_some((start, total))
}

fn shown(content_range: Option<&str>) -> String {
    format!("Content-Range {:?}", content_range.unwrap_or("none").chars().take(80).collect::<String>())
}

fn range(offset: u64, validator: Option<&Validator>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if offset == 0 {
        return headers;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("bytes={offset}-")) {
        headers.insert(RANGE, value);
    }
    let if_range = validator.and_then(Validator::for_if_range);
    if let Some(Ok(value)) = if_range.map(HeaderValue::from_str) {
        headers.insert(IF_RANGE, value);
    }
    headers
}

/// Parses `bytes 100-199/200` or `bytes 100-199/*` into the first byte and the total length. `None` if the part does
/// not go to the end.
fn part(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    if total.trim() == "*" {
        return (first <= last).then_some((first, None));
    }
    let total: u64 = total.trim().parse().ok()?;
    (first <= last && last.checked_add(1)? == total).then_some((first, Some(total)))
}

/// The total length in `bytes 0-0/200`.
fn total_in(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes ")?.split_once('/')?.1.trim().parse().ok()
}

/// Parses `bytes */200`.
fn unsatisfied(text: &str) -> Option<u64> {
    text.strip_prefix("bytes */")?.trim().parse().ok()
}

impl ImageBody {
    /// Whether the end of the body is explicit (chunked, HTTP/2 without a length, or the end of the encoding), not only
    /// the end of the connection.
    pub fn ends_surely(&self) -> bool {
        self.chunked || self.is_decoded()
    }

    /// Whether the body is decoded.
    pub fn is_decoded(&self) -> bool {
        self.body.is_decoded()
    }

    /// Reads the first bytes, for a message about a response that is of no use.
    pub async fn begin(&mut self, came: &mut Came) {
        self.body.begin(came).await;
    }

    /// The next bytes; `None` at the end of the body.
    pub async fn next(&mut self, floor: &mut RateFloor) -> Result<Option<Bytes>, FetchError> {
        if Instant::now() >= self.until {
            let message = format!("expected the end within {:?} over one connection", self.total_timeout);
            return Err(FetchError::Timeout { url: self.url.clone(), message });
        }
        let size = |came: &Result<Option<Bytes>, FetchError>| match came {
            Ok(Some(bytes)) => bytes.len() as u64,
            Ok(None) | Err(_) => 0,
        };
        let came = floor.wait(self.body.next(), size).await;
        came.ok_or_else(|| floor.broken(&self.url))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_strictly() {
        let cases = [
            ("bytes 100-199/200", Some((100, Some(200)))),
            ("bytes 0-0/1", Some((0, Some(1)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes 100-150/200", None),
            ("bytes 9-5/10", None),
            ("bytes */200", None),
            ("bytes 1-18446744073709551615/18446744073709551615", None),
            ("bytes -5/10", None),
            ("items 0-1/2", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(part(text), expected, "{text}");
        }
        assert_eq!(unsatisfied("bytes */200"), Some(200));
        assert_eq!(unsatisfied("bytes 0-1/2"), None);
    }

    #[test]
    fn if_range_takes_strong_validators_only() {
        let validator = |etag: Option<&str>, strong| Validator {
            etag: etag.map(str::to_owned),
            last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            last_modified_is_strong: strong,
        };
        let sent =
            |validator: &Validator| range(7, Some(validator)).get(IF_RANGE).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(sent(&validator(Some("\"a\""), false)).as_deref(), Some("\"a\""));
        assert_eq!(sent(&validator(Some("W/\"a\""), false)), None);
        assert_eq!(sent(&validator(Some("W/\"a\""), true)).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(sent(&validator(None, false)), None);
        assert_eq!(range(7, None).get(RANGE).unwrap(), "bytes=7-");
        assert!(range(0, None).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_floor_counts_over_connections_and_only_what_was_waited_for() {
        let mut floor = RateFloor::new(Duration::from_mins(1), 1024);
        let slow = |bytes: u64| async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            bytes
        };
        for _ in 0..4 {
            assert!(floor.wait(slow(31 * 1024), |bytes| *bytes).await.is_some());
        }
        assert!(floor.wait(slow(1), |bytes| *bytes).await.is_some());
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(floor.wait(std::future::pending::<u64>(), |bytes| *bytes).await.is_none());
    }
}
