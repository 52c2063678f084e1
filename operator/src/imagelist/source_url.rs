//! Addresses of downloads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// An `http`, `https` or `file` URL without user information.
///
/// It is only passed to an HTTP client, never to a shell. It is displayed without its query, because the query of a
/// signed URL contains a secret; [`SourceUrl::url`] returns the whole URL for the client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUrl(Url);

/// Why a text is not an address. The text itself is not repeated, because it may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceUrlError {
    /// Not a URL at all (WHATWG URL).
    #[error("expected an absolute URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// The scheme is not http, https or file.
    #[error("expected http, https or file, found the scheme {0:?}")]
    Scheme(String),
    /// It contains `user:password@`.
    #[error("expected no user:password@ in the URL (use secretRef), found one for host {0:?}")]
    UserInformation(String),
    /// A required host is missing, or a `file` URL has a host.
    #[error("expected {expected}, found {found}")]
    Host {
        /// What the scheme requires.
        expected: &'static str,
        /// What was found instead.
        found: String,
    },
    /// A form other than `scheme://host/path`, which lenient parsers turn into a different address.
    #[error("expected {expected}, found {found}")]
    Form {
        /// The expected form.
        expected: &'static str,
        /// What was found instead, without any part of the text.
        found: &'static str,
    },
    /// It has more than 2048 bytes.
    #[error("expected at most 2048 characters, found {0}")]
    TooLong(usize),
}

impl SourceUrl {
    /// The whole URL with its query, for the HTTP client. Never for output.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Resolves a reference against this address, as in the `Location` of a redirect (RFC 3986 section 5).
    pub fn join(&self, reference: &str) -> Result<Self, SourceUrlError> {
        check_form(reference)?;
        self.0.join(reference)?.as_str().parse()
    }

    /// Whether it is a network address (`http`, `https`) and not a file.
    pub fn is_remote(&self) -> bool {
        self.0.scheme() != "file"
    }
}

impl FromStr for SourceUrl {
    type Err = SourceUrlError;

    fn from_str(text: &str) -> Result<Self, SourceUrlError> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.len() > 2048 {
            return Err(SourceUrlError::TooLong(text.len()));
        }
        check_form(text)?;
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

/// Refuses texts that the WHATWG parser accepts with another meaning, and that are not valid in RFC 3986:
/// `http:///a.img` and `http:a.img` would have the host `a.img`, a backslash would be a slash, and line ends inside the
/// text would be ignored.
fn check_form(text: &str) -> Result<(), SourceUrlError> {
    let form = |expected, found| Err(SourceUrlError::Form { expected, found });
    if text.chars().any(char::is_control) {
        return form("an address of visible characters", "a control character in it");
    }
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    if before_query.contains('\\') {
        return form("slashes", "a backslash in the address");
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        Some(_) | None => (String::new(), text),
    };
    let authority = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match (scheme.as_str(), authority) {
        ("http" | "https", None) => form("// and a host behind the scheme", "neither"),
        ("http" | "https" | "", Some("")) => form("a host behind //", "none"),
        ("file", None) if !rest.starts_with('/') => form("an absolute path in the file URL", "a relative one"),
        (_, Some(authority)) if authority.contains('@') => {
            let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
            Err(SourceUrlError::UserInformation(host))
        }
        (_, Some(authority)) if authority.ends_with(':') => form("a port behind the colon", "none"),
        (_, _) => Ok(()),
    }
}

/// Whether a text is a scheme (RFC 3986 section 3.1).
fn is_scheme(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || ['+', '-', '.'].contains(&c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(inner)
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
    #[test]
    fn an_address_is_never_read_as_another_one() {
        let cases = [
            ("http:///a.img", "expected a host behind //, found none"),
            ("https:////host/a.img", "expected a host behind //, found none"),
            ("http://?a", "expected a host behind //, found none"),
            ("http:a.img", "expected // and a host behind the scheme, found neither"),
            ("https:/host/a.img", "expected // and a host behind the scheme, found neither"),
            ("HTTPS:host", "expected // and a host behind the scheme, found neither"),
            ("http:\\\\host\\a.img", "found a backslash"),
            ("http://good.example\\@evil.example/", "found a backslash"),
            ("http://host/a\\..\\b", "found a backslash"),
            ("http://ho\tst/a", "found a control character"),
            ("http://host/a\nb", "found a control character"),
            ("ht\rtp://host/a", "found a control character"),
            ("http://host/\u{85}", "found a control character"),
            ("http://@host/", "found one for host \"host\""),
            ("http://:@host/", "found one for host \"host\""),
            ("http://a@b@host/", "found one for host \"host\""),
            ("http://host:/", "expected a port behind the colon"),
            ("file:a.list", "expected an absolute path"),
            ("", "expected an absolute URL"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<SourceUrl>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        for (text, read) in [
            (" https://host/a.img\n", "https://host/a.img"),
            ("https://host/a b?c\\d", "https://host/a%20b?…"),
            ("https://HOST:443/a@b:", "https://host/a@b:"),
            ("http://[::1]/", "http://[::1]/"),
            ("file:/srv/a.list", "file:///srv/a.list"),
        ] {
            assert_eq!(text.parse::<SourceUrl>().unwrap().to_string(), read, "{text:?}");
        }
    }

    #[test]
    fn a_reference_is_read_as_strictly() {
        let from: SourceUrl = "https://host/a/b?c".parse().unwrap();
        for (reference, to) in [
            ("/list", "https://host/list"),
            ("list", "https://host/a/list"),
            ("?q", "https://host/a/b?…"),
            ("//other/list", "https://other/list"),
            ("http://other/list", "http://other/list"),
            ("a:b@c", "expected http, https or file, found the scheme \"a\""),
            ("///list", "expected a host behind //, found none"),
            ("https:///list", "expected a host behind //, found none"),
            ("https:list", "expected // and a host behind the scheme, found neither"),
            ("/\\other/list", "expected slashes, found a backslash in the address"),
            ("\t//other/list", "expected an address of visible characters, found a control character in it"),
            ("//user@other/", "expected no user:password@ in the URL (use secretRef), found one for host \"other\""),
        ] {
            let joined = from.join(reference).map_or_else(|error| error.to_string(), |url| url.to_string());
            assert_eq!(joined, to, "{reference:?}");
        }
    }
}
