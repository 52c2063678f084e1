//! The challenge of a registry that wants a token: `WWW-Authenticate: Bearer realm="…",service="…"` (RFC 6750 section 3;
//! distribution, token authentication specification).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// The maximum length of a challenge in bytes; a longer one is ignored.
const LONGEST: usize = 4096;

/// Where a token is had. The scope in the challenge is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fetch) struct BearerChallenge {
    /// The address of the server of tokens.
    pub(super) realm: String,
    /// The name of the registry for it.
    pub(super) service: Option<String>,
}

impl BearerChallenge {
    /// The first such challenge of a response.
    pub(in crate::fetch) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        values.filter(|value| value.len() <= LONGEST).find_map(Self::read)
    }

    fn read(value: &str) -> Option<Self> {
        let (scheme, parameters) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = parameters.trim_start();
        while !rest.is_empty() {
            let (name, value, after) = parameter(rest)?;
            match name.to_ascii_lowercase().as_str() {
                "realm" if realm.is_none() => realm = Some(value),
                "service" if service.is_none() => service = Some(value),
                _ => {}
            }
            rest = after.trim_start_matches([' ', '\t', ',']);
        }
        Some(Self { realm: realm.filter(|realm| !realm.is_empty())?, service })
    }
}

/// One `name=value` or `name="value"`, and what follows.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        return Some((name.trim(), rest[..end].to_owned(), &rest[end..]));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (index, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((name.trim(), value, &quoted[index + 1..])),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_strictly() {
        let found = |realm: &str, service: Option<&str>| {
            Some(BearerChallenge { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let cases = [
            (
                r#"Bearer realm="https://a/token",service="r",scope="repository:a:pull""#,
                found("https://a/token", Some("r")),
            ),
            (r#"bearer service=r , realm = "https://a/\"b""#, found("https://a/\"b", Some("r"))),
            (r#"Bearer realm="https://a/", realm="https://b/""#, found("https://a/", None)),
            ("Basic realm=\"x\"", None),
            ("Bearer", None),
            ("Bearer service=\"r\"", None),
            ("Bearer realm=\"https://a", None),
            ("Bearer realm=\"\"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(BearerChallenge::read(text), expected, "{text}");
        }
    }
}
