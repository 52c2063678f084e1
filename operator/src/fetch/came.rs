//! A description of a response, for messages about unexpected content.

use std::fmt;

use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::encoding::Encoding;
use crate::imagelist::SourceUrl;
use crate::text::one_line;

/// The maximum number of first bytes that are kept.
pub(super) const HEAD: usize = 256;

/// The maximum number of characters (for text) or bytes (for other data) that are shown.
const SHOWN: usize = 80;
const SHOWN_BYTES: usize = 8;

/// The properties of a response and its first bytes. It is displayed at the end of a message, and is empty if nothing
/// is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Came {
    /// `Content-Type`, visible characters only.
    content_type: Option<String>,
    /// `Content-Encoding`, if there is one.
    encoding: Option<String>,
    /// The target of the last redirect, if there was one.
    redirected: Option<SourceUrl>,
    /// The proxy that the request went through, without user and password.
    proxy: Option<String>,
    /// The first bytes.
    head: Vec<u8>,
}

impl Came {
    /// The properties of a response from `last` to a request for `asked`.
    pub(super) fn of(
        headers: &HeaderMap,
        encoding: &Encoding,
        asked: &SourceUrl,
        last: &SourceUrl,
        proxy: Option<String>,
    ) -> Self {
        Self {
            content_type: headers.get(CONTENT_TYPE).map(|value| one_line(value.as_bytes(), SHOWN)),
            encoding: encoding.name().map(str::to_owned),
            redirected: (last != asked).then(|| last.clone()),
            proxy,
            head: Vec::new(),
        }
    }

    /// Keeps the first bytes.
    pub fn begins_with(&mut self, bytes: &[u8]) {
        let missing = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { content_type, encoding, redirected, proxy, head } = self;
        let parts = [
            content_type.as_ref().map(|text| format!("is {text}")),
            encoding.as_ref().map(|text| format!("is encoded with {text}")),
            redirected.as_ref().map(|url| format!("came by redirect from {url}")),
            proxy.as_ref().map(|proxy| format!("came through the proxy {proxy}")),
            (!head.is_empty()).then(|| format!("begins with {}", beginning(head))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, "; the answer {}", parts.join(", ")) }
    }
}

/// Formats text as text, and other data as hexadecimal digits.
fn beginning(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let odd =
        text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace()).count();
    match head {
        [0x1f, 0x8b, ..] => "gzip data (1f 8b)".to_owned(),
        // The last character may be incomplete.
        _ if odd <= 1 && !text.trim().is_empty() => format!("\"{}\"", one_line(head, SHOWN)),
        _ => {
            let shown = &head[..head.len().min(SHOWN_BYTES)];
            let digits: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("the bytes {}", digits.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{CONTENT_ENCODING, HeaderValue};

    use super::*;

    #[test]
    fn what_came_is_told_in_one_line_that_does_nothing_to_a_terminal() {
        let cases: [(&[u8], &str); 7] = [
            (
                b"<!DOCTYPE html>\r\n<html>\n\t<title>Sign in</title>",
                "\"<!DOCTYPE html> <html> <title>Sign in</title>\"",
            ),
            (b"\x1b]0;pwned\x07\x1b[2J done", "the bytes 1b 5d 30 3b 70 77 6e 65"),
            ("a\u{202e}gni.tuo\u{2066} é".as_bytes(), "\"a\\u{202e}gni.tuo\\u{2066} é\""),
            (b"\x1f\x8b\x08\0\0", "gzip data (1f 8b)"),
            (b"QFI\xfb\0\0\0\x03\0", "the bytes 51 46 49 fb 00 00 00 03"),
            (b"\0\0", "the bytes 00 00"),
            (b" \n ", "the bytes 20 0a 20"),
        ];
        for (head, expected) in cases {
            let mut came = Came::default();
            came.begins_with(head);
            assert_eq!(came.to_string(), format!("; the answer begins with {expected}"));
        }
        assert_eq!(Came::default().to_string(), "");
        let mut long = Came::default();
        (0..1000).for_each(|_| long.begins_with("é".as_bytes()));
        assert!(long.to_string().len() < 300, "{long}");
    }

    #[test]
    fn where_it_came_from_is_told_without_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_bytes(b"text/html\xff; charset=x").unwrap());
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let asked: SourceUrl = "https://a/list".parse().unwrap();
        let last: SourceUrl = "https://login.example.org/?SAMLRequest=s3cret".parse().unwrap();
        let came = Came::of(&headers, &Encoding::of(&headers), &asked, &last, Some("http://proxy:3128".to_owned()))
            .to_string();
        assert_eq!(
            came,
            "; the answer is text/html\u{fffd}; charset=x, is encoded with gzip, came by redirect from \
             https://login.example.org/?…, came through the proxy http://proxy:3128"
        );
    }
}
