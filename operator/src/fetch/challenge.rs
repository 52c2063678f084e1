//! Authentication challenges of a server or a proxy: `WWW-Authenticate`, `Proxy-Authenticate` (RFC 9110 section 11).

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName};

/// The supported schemes.
const SPOKEN: [&str; 2] = ["basic", "bearer"];

/// The maximum number of schemes, and their maximum length in characters.
const MOST: usize = 8;
const LONGEST: usize = 32;

/// The requested authentication schemes, each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenges(Vec<String>);

impl Challenges {
    /// Parses a header. Anything that is not a challenge is ignored.
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut schemes: Vec<String> = Vec::new();
        for value in headers.get_all(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            for scheme in split(&value).into_iter().filter_map(scheme) {
                if schemes.len() < MOST && !schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
                    schemes.push(scheme.to_owned());
                }
            }
        }
        Self(schemes)
    }

    /// The end of a message: the requested schemes, and which of them are not supported. Empty if there are none.
    pub(super) fn explained(&self, spoken: &[&str]) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let is_spoken = |scheme: &&String| spoken.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let unknown: Vec<&str> = self.0.iter().filter(|scheme| !is_spoken(scheme)).map(String::as_str).collect();
        let silent = match unknown.len() {
            0 => String::new(),
            1 => format!("; {} is not spoken here", unknown.concat()),
            _ => format!("; {} are not spoken here", unknown.join(" and ")),
        };
        format!(" (it asks for {self}{silent})")
    }

    /// The same for a server; Basic and Bearer are supported.
    pub(super) fn of_server(&self) -> String {
        self.explained(&SPOKEN)
    }

    /// The same for a proxy; Basic is supported.
    pub(super) fn of_proxy(&self) -> String {
        self.explained(&SPOKEN[..1])
    }
}

impl fmt::Display for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// Splits at commas that are not inside quotes.
fn split(value: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(|c| {
            let inside = quoted;
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ => {}
            }
            c == ',' && !inside
        })
        .collect()
}

/// The scheme at the beginning: a token that is not the name of a parameter.
fn scheme(part: &str) -> Option<&str> {
    let part = part.trim();
    let end = part.find([' ', '\t', '=']).unwrap_or(part.len());
    let (word, rest) = part.split_at(end);
    let is_token = !word.is_empty()
        && word.len() <= LONGEST
        && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
    (is_token && !rest.trim_start().starts_with('=')).then_some(word)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};

    use super::*;

    fn of(values: &[&'static str]) -> Challenges {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenges::of(&headers, &WWW_AUTHENTICATE)
    }

    #[test]
    fn the_schemes_are_named_and_nothing_else_of_the_header() {
        let cases: [(&[&'static str], &str); 8] = [
            (&[], ""),
            (&["Basic realm=\"x\""], " (it asks for Basic)"),
            (&["Negotiate"], " (it asks for Negotiate; Negotiate is not spoken here)"),
            (
                &["Negotiate", "NTLM", "Basic realm=\"a, Digest b\""],
                " (it asks for Negotiate, NTLM, Basic; Negotiate and NTLM are not spoken here)",
            ),
            (
                &["Bearer realm = \"x\", scope=\"a\\\", Fake\", Digest nonce=1"],
                " (it asks for Bearer, Digest; Digest is not spoken here)",
            ),
            (&["Negotiate YII==, basic , BASIC"], " (it asks for Negotiate, basic; Negotiate is not spoken here)"),
            (&["realm=\"x\""], ""),
            (
                &["A, B, C, D, E, F, G, H, I"],
                " (it asks for A, B, C, D, E, F, G, H; A and B and C and D and E and F and G and H are not spoken here)",
            ),
        ];
        for (values, expected) in cases {
            assert_eq!(of(values).of_server(), expected, "{values:?}");
        }
        assert_eq!(of(&["Bearer"]).of_proxy(), " (it asks for Bearer; Bearer is not spoken here)");
    }
}
