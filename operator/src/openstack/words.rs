//! The message in the body of an error. Pure.
//!
//! Glance answers in plain text ("404 Not Found", an empty line, the message), Keystone in JSON, and a proxy or load
//! balancer before them in HTML.

use serde_json::Value;

use crate::text::one_line;

/// The most characters of a message.
const LONGEST: usize = 300;

/// The message of an error body: one line, shortened and printable. Each text in `hidden` (a secret, a token) is
/// replaced, because a server may repeat the request in its message.
pub(super) fn words(status: &str, body: &[u8], hidden: &[&str]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = hide(&text, hidden);
    let found = message_of_json(&text).unwrap_or_else(|| without_markup(&text));
    let found = one_line(hide(&found, hidden).as_bytes(), LONGEST);
    let mut message = found.as_str();
    // HTML has the status as its title, and as its heading.
    while let Some(rest) = message.strip_prefix(status) {
        message = rest.trim_start();
    }
    if message.is_empty() { format!("{status}, without a message") } else { message.to_owned() }
}

fn hide(text: &str, hidden: &[&str]) -> String {
    let mut shown = text.to_owned();
    for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
        shown = shown.replace(secret, "(hidden)");
    }
    shown
}

/// The message of Keystone's `{"error": {"message": …}}`, and of similar forms that gateways use.
fn message_of_json(text: &str) -> Option<String> {
    const NAMES: [&str; 4] = ["message", "explanation", "detail", "title"];
    let value: Value = serde_json::from_str(text).ok()?;
    let outer = value.as_object()?;
    let inner = outer.values().filter_map(Value::as_object);
    let found = std::iter::once(outer)
        .chain(inner)
        .find_map(|object| NAMES.iter().find_map(|name| object.get(*name).and_then(Value::as_str)));
    let found = found.or_else(|| outer.get("error").and_then(Value::as_str))?;
    // WebOb, on which Glance is built, ends its messages in JSON by line breaks of HTML.
    Some(found.replace("<br />", " "))
}

/// The text of HTML without elements; a text that is not HTML stays as it is.
fn without_markup(text: &str) -> String {
    let start = text.trim_start().get(..64).unwrap_or(text.trim_start()).to_ascii_lowercase();
    if !start.starts_with("<!doctype") && !start.starts_with("<html") && !start.starts_with("<head") {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        shown.push_str(before);
        shown.push(' ');
        let name = after.get(..5).unwrap_or_default().to_ascii_lowercase();
        let end = if name == "style" { "</style>" } else { ">" };
        rest = after.split_once(end).map_or("", |(_, behind)| behind);
    }
    shown.push_str(rest);
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    entities.iter().fold(shown, |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_servers_own_words_stay_in_each_form() {
        let html = "<html><head><title>502 Bad Gateway</title><style>p { color: red }</style></head>\n<body>\
                    <h1>502 Bad Gateway</h1>The server&#39;s answer was &lt;bad&gt;.</body></html>";
        let cases = [
            ("404 Not Found", "404 Not Found\n\nNo image found with ID 1\n\n   ", "No image found with ID 1"),
            (
                "409 Conflict",
                "409 Conflict\n\nThere was a conflict when trying to complete your request.\n\n Property nope does not exist.  ",
                "There was a conflict when trying to complete your request. Property nope does not exist.",
            ),
            (
                "401 Unauthorized",
                r#"{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}"#,
                "The request you have made requires authentication.",
            ),
            ("413 Payload Too Large", r#"{"overLimit": {"message": "too much", "code": 413}}"#, "too much"),
            ("500 Internal Server Error", r#"{"message": "<script>\u001b[2J\u202e"}"#, "<script> [2J\\u{202e}"),
            ("500 Internal Server Error", r#"{"error": "no database"}"#, "no database"),
            ("400 Bad Request", "[1, 2]", "[1, 2]"),
            ("502 Bad Gateway", html, "The server's answer was <bad>."),
            (
                "409 Conflict",
                r#"{"message": "Image ID 1 already exists!<br /><br />\n", "code": "409 Conflict"}"#,
                "Image ID 1 already exists!",
            ),
            ("503 Service Unavailable", "", "503 Service Unavailable, without a message"),
            ("503 Service Unavailable", "503 Service Unavailable\n", "503 Service Unavailable, without a message"),
        ];
        for (status, body, expected) in cases {
            assert_eq!(words(status, body.as_bytes(), &[]), expected);
        }
    }

    #[test]
    fn a_message_is_bounded_and_repeats_no_secret() {
        let long = words("400 Bad Request", "x ".repeat(5000).as_bytes(), &[]);
        assert_eq!(long.chars().count(), LONGEST + 1, "{long}");
        let echo = r#"{"error": {"message": "cannot read s3cr\u0065t for gAAA-token"}}"#;
        let shown = words("400 Bad Request", echo.as_bytes(), &["s3cret", "gAAA-token", ""]);
        assert_eq!(shown, "cannot read (hidden) for (hidden)");
    }

    proptest! {
        #[test]
        fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..200), markup in "(<html>|<|>|&lt;|<style|\\PC){0,40}") {
            for body in [&body[..], markup.as_bytes()] {
                prop_assert!(words("400 Bad Request", body, &["a"]).chars().count() <= 8 * LONGEST);
            }
        }
    }
}
