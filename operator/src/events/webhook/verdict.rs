//! What the response of a receiver means for the event. Pure.

use std::time::Duration;

use http::StatusCode;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::super::sink::SinkError;
use crate::text;

/// The longest wait that a receiver can ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The most characters of a receiver's text in a message.
const MOST_SAID: usize = 200;

/// The obsolete forms of a date in HTTP (RFC 9110 section 5.6.7).
const OBSOLETE_DATES: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// What a response means for the event.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The receiver has it.
    Handled,
    /// The receiver does not take this event, now or later: what it said.
    Refused(String),
    /// The event cannot be delivered now.
    Stopped(SinkError),
}

/// What counts in a response.
#[derive(Debug)]
pub(super) struct Response<'r> {
    /// The status.
    pub(super) status: StatusCode,
    /// `Retry-After`.
    pub(super) retry_after: Option<&'r str>,
    /// `Location`.
    pub(super) location: Option<&'r str>,
    /// The beginning of the body, without secrets.
    pub(super) body: &'r [u8],
}

impl Response<'_> {
    /// The meaning of the response of a receiver at `url`, at this time.
    ///
    /// | status | |
    /// |---|---|
    /// | 2xx | handled |
    /// | 408, 425, 429, 5xx | the receiver cannot take events now |
    /// | 3xx, 401, 403, 404, 405, 407, 410 | the sink or the receiver is set up wrongly: all events wait |
    /// | other 4xx | this event is refused |
    ///
    /// Statuses that HTTP does not define count as set up wrongly: no receiver of events is there.
    pub(super) fn verdict(&self, url: &Url, now: Timestamp) -> Verdict {
        let address = shown(url);
        match self.status.as_u16() {
            200..=299 => Verdict::Handled,
            408 | 425 | 429 | 500..=599 => {
                let retry_after = self.retry_after.and_then(|text| wait(text, now));
                Verdict::Stopped(SinkError::Busy { address, found: self.said(), retry_after })
            }
            300..=399 => Verdict::Stopped(SinkError::Denied { address, found: self.redirect(url) }),
            401 | 403 | 404 | 405 | 407 | 410 => Verdict::Stopped(SinkError::Denied { address, found: self.said() }),
            400..=499 => Verdict::Refused(self.said()),
            _ => Verdict::Stopped(SinkError::Denied { address, found: self.said() }),
        }
    }

    /// The status and the beginning of the body, on one line.
    fn said(&self) -> String {
        let body = text::one_line(self.body, MOST_SAID);
        let status = self.status();
        if body.is_empty() { status } else { format!("{status}: {body}") }
    }

    fn redirect(&self, url: &Url) -> String {
        let to = self.location.and_then(|location| url.join(location).ok());
        let to = to.map_or_else(|| "no address".to_owned(), |to| text::one_line(shown(&to).as_bytes(), MOST_SAID));
        format!("{}: expected no redirect, found one to {to}", self.status())
    }

    fn status(&self) -> String {
        let name = self.status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
        format!("status {}{name}", self.status.as_u16())
    }
}

/// The time in `Retry-After`: seconds or a date (RFC 9110 section 10.2.3), at most [`LONGEST_WAIT`].
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that does not fit is more than the longest wait.
    let wait = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) if is_number => LONGEST_WAIT,
        Err(_) => date(text)?.duration_since(now).max(SignedDuration::ZERO).unsigned_abs(),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// A date in one of the three forms of HTTP (RFC 9110 section 5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(date) = rfc2822::parse(text) {
        return Some(date.timestamp());
    }
    let obsolete = OBSOLETE_DATES.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    TimeZone::UTC.to_timestamp(obsolete).ok()
}

/// An address in messages: without user, password, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "1994-11-06T08:49:07Z";

    fn verdict(status: u16, retry_after: Option<&str>, location: Option<&str>, body: &[u8]) -> Verdict {
        let url = Url::parse("https://user:pass@hook.example.org:8443/a?token=s3cret#f").unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        Response { status, retry_after, location, body }.verdict(&url, NOW.parse().unwrap())
    }

    /// One letter a status: what it means.
    fn class(status: u16) -> char {
        match verdict(status, None, None, b"") {
            Verdict::Handled => 'h',
            Verdict::Refused(_) => 'r',
            Verdict::Stopped(SinkError::Busy { .. }) => 'b',
            Verdict::Stopped(SinkError::Denied { .. }) => 'd',
            Verdict::Stopped(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_status_has_its_meaning() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => 'h',
                408 | 425 | 429 | 500..=599 => 'b',
                401 | 403 | 404 | 405 | 407 | 410 => 'd',
                400..=499 => 'r',
                _ => 'd',
            };
            assert_eq!(class(status), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let cases = [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("3601", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(3600)),
            ("Mon, 29 Nov 2990 23:59:59 GMT", Some(3600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let Verdict::Stopped(SinkError::Busy { retry_after, .. }) = verdict(503, Some(text), None, b"") else {
                panic!("{text}")
            };
            assert_eq!(retry_after.map(|wait| wait.as_secs()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_redirect_has_its_place_without_secrets() {
        let message = |location| match verdict(307, None, location, b"moved") {
            Verdict::Stopped(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let long = format!("/{}", "x".repeat(9999));
        let cases = [
            (Some("https://u:p@other.example.org/b?token=t#f"), "one to https://other.example.org/b"),
            (Some("/login?next=/a"), "one to https://hook.example.org:8443/login"),
            (Some("https://["), "one to no address"),
            (None, "one to no address"),
            (Some(&long), "x…"),
        ];
        for (location, expected) in cases {
            let message = message(location);
            assert!(message.ends_with(expected) && message.len() < 400, "{message}");
            assert!(
                message.starts_with("https://hook.example.org:8443/a refuses the delivery: status 307"),
                "{message}"
            );
        }
    }

    #[test]
    fn what_the_receiver_said_is_one_bounded_line() {
        let Verdict::Refused(said) = verdict(422, None, None, b"no\r\nsuch \x1b[31mfield\xff") else { panic!() };
        assert_eq!(said, "status 422 Unprocessable Entity: no such [31mfield\u{fffd}");
        let Verdict::Refused(said) = verdict(499, None, None, &[b'a'; 4096]) else { panic!() };
        assert_eq!(said, format!("status 499: {}…", "a".repeat(200)));
    }
}
