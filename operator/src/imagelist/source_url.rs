//! Addresses that bytes come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// An `http`, `https` or `file` URL without user information.
///
/// It is only ever handed to an HTTP client, never to a shell. Shown without its query, since signed URLs carry
/// their secret there; [`SourceUrl::url`] gives the whole to the one who fetches.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUrl(Url);

/// Why a text is no address to fetch from. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceUrlError {
    /// Not a URL at all (WHATWG URL).
    #[error("expected an absolute URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// Another scheme.
    #[error("expected http, https or file, found the scheme {0:?}")]
    Scheme(String),
    /// `user:password@` stands in it.
    #[error("expected no user:password@ in the URL (use secretRef), found one for host {0:?}")]
    UserInformation(String),
    /// No host where one is needed, or a `file` URL with one.
    #[error("expected {expected}, found {found}")]
    Host {
        /// What the scheme asks for.
        expected: &'static str,
        /// What stood there.
        found: String,
    },
    /// Over 2048 characters.
    #[error("expected at most 2048 characters, found {0}")]
    TooLong(usize),
}

impl SourceUrl {
    /// The whole URL, query included. For the client that fetches; never for output.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether bytes come over the network (`http`, `https`) and not from a file.
    pub fn is_remote(&self) -> bool {
        self.0.scheme() != "file"
    }
}

impl FromStr for SourceUrl {
    type Err = SourceUrlError;

    fn from_str(text: &str) -> Result<Self, SourceUrlError> {
        if text.len() > 2048 {
            return Err(SourceUrlError::TooLong(text.len()));
        }
        let url = Url::parse(text)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceUrlError::UserInformation(host));
        }
        match url.scheme() {
            "http" | "https" if !host.is_empty() => Ok(Self(url)),
            "http" | "https" => Err(SourceUrlError::Host { expected: "a host", found: "none".to_owned() }),
            "file" if host.is_empty() => Ok(Self(url)),
            "file" => Err(SourceUrlError::Host { expected: "a file URL without a host", found: host }),
            other => Err(SourceUrlError::Scheme(other.to_owned())),
        }
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        let hidden = shown.query().is_some();
        shown.set_query(None);
        shown.set_fragment(None);
        write!(f, "{shown}{}", if hidden { "?…" } else { "" })
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for SourceUrl {
    type Error = SourceUrlError;

    fn try_from(text: String) -> Result<Self, SourceUrlError> {
        text.parse()
    }
}

impl From<SourceUrl> for String {
    fn from(url: SourceUrl) -> Self {
        url.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_never_holds_a_secret() {
        let url: SourceUrl = "https://images.example.org/a.qcow2?X-Signature=s3cret#s3cret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}").matches("s3cret").count(), 0);
        assert_eq!(url.to_string(), "https://images.example.org/a.qcow2?…");
        let error = "https://token:s3cret@example.org/".parse::<SourceUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }

    #[test]
    fn only_addresses_that_can_be_fetched_are_taken() {
        for good in ["http://[::1]:8080/a?b=c&d", "https://example.org", "file:///srv/image.list"] {
            assert!(good.parse::<SourceUrl>().is_ok(), "{good}");
        }
        for bad in ["", "/a", "ftp://example.org/a", "file://host/a", "https://u@example.org/", "javascript:1"] {
            assert!(bad.parse::<SourceUrl>().is_err(), "{bad}");
        }
    }
}
