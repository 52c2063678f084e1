//! Validators (RFC 9110 section 8.8), which show whether a document has changed.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The validators that a server sent for a document, to be sent back with the next request for it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validator {
    /// The unchanged `ETag`, with quotes and `W/`.
    pub etag: Option<String>,
    /// The unchanged `Last-Modified`.
    pub last_modified: Option<String>,
    /// Whether `last_modified` is a strong validator: at least a minute older than the response's `Date` (RFC 9110
    /// section 8.8.2.2).
    #[serde(default)]
    pub last_modified_is_strong: bool,
}

/// The maximum length of a validator; a longer one is ignored.
const LONGEST: usize = 1024;

impl Validator {
    /// The validators of a response, if it has any.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let etag = text(headers, &ETAG);
        let last_modified = text(headers, &LAST_MODIFIED);
        if etag.is_none() && last_modified.is_none() {
            return None;
        }
        let modified = last_modified.as_deref().and_then(http_date);
        let strong = match (modified, date(headers)) {
            (Some(modified), Some(date)) => date.as_second() - modified.as_second() >= 60,
            (None | Some(_), _) => false,
        };
        Some(Self { etag, last_modified, last_modified_is_strong: strong })
    }

    /// The value for `If-Range`, which takes strong validators only (RFC 9110 section 13.1.5).
    pub fn for_if_range(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) if !etag.starts_with("W/") => Some(etag),
            Some(_) | None => self.last_modified.as_deref().filter(|_| self.last_modified_is_strong),
        }
    }

    /// Whether both are strong and differ. Then the bytes are not of the same document.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        match (self.for_if_range(), other.for_if_range()) {
            (Some(one), Some(two)) => self.etag.is_some() == other.etag.is_some() && one != two,
            (None, _) | (_, None) => false,
        }
    }
}

/// The server's `Date`.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    text(headers, &DATE).as_deref().and_then(http_date)
}

/// An HTTP date in its preferred form (RFC 9110 section 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}
