//! What a page shows: texts, links, times and states, in types that cannot hold what would harm a reader. Pure.
//!
//! Lists and clouds are hostile. A text has no character that changes the order or the look of others, and the templates
//! escape it. Only an http or https address becomes a link.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::text::printable;

/// The most characters of a text on a page.
const LONGEST: usize = 1024;

/// A text from outside, on one line and bounded. The templates escape it for HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(String);

impl Text {
    /// The text, at most 1024 characters of it.
    pub(super) fn of(text: impl AsRef<str>) -> Self {
        Self::at_most(text.as_ref(), LONGEST)
    }

    /// At most this many characters of it.
    pub(super) fn at_most(text: &str, most: usize) -> Self {
        let begin = text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end]);
        let mut shown = printable(begin).into_owned();
        if begin.len() < text.len() {
            shown.push('…');
        }
        Self(shown)
    }

    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address: a link if it is http or https without user and password, otherwise a text.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"{% match href %}{% when Some(href) %}<a href="{{ href }}" rel="noopener noreferrer nofollow">{{ text }}</a>{% when None %}{{ text }}{% endmatch %}"#,
    ext = "html"
)]
pub(super) struct Address {
    text: Text,
    href: Option<String>,
}

impl HtmlSafe for Address {}

impl Address {
    /// The address. Its query, user and password, which can be secrets, are left out.
    pub(super) fn of(address: &str) -> Self {
        let Ok(mut url) = address.parse::<Url>() else { return Self { text: Text::of(address), href: None } };
        url.set_query(None);
        url.set_fragment(None);
        // Fails for an address without a host, which has neither.
        let _without = (url.set_username(""), url.set_password(None));
        let href = matches!(url.scheme(), "http" | "https").then(|| url.to_string());
        Self { text: Text::of(url.as_str()), href }
    }
}

/// A time, with how far it is from now.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(source = r#"<time datetime="{{ at }}" title="{{ at }}">{{ relative }}</time>"#, ext = "html")]
pub(super) struct Moment {
    at: String,
    relative: String,
}

impl HtmlSafe for Moment {}

impl Moment {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        let seconds = Timestamp::from_second(at.as_second()).unwrap_or(at);
        Self { at: seconds.to_string(), relative: relative(at, now) }
    }
}

/// `in 3 days`, `5 minutes ago`; a date if it is more than 90 days away.
fn relative(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    let Some(span) = span(distance.abs()) else {
        return at.to_string().chars().take(10).collect();
    };
    match (span.as_str(), distance.is_negative()) {
        ("", _) => "now".to_owned(),
        (span, true) => format!("{span} ago"),
        (span, false) => format!("in {span}"),
    }
}

/// A time span in its largest unit; empty below 5 s, `None` from 90 days on.
fn span(time: SignedDuration) -> Option<String> {
    let seconds = time.as_secs();
    let (number, unit) = match seconds {
        ..5 => return Some(String::new()),
        5..120 => (seconds, "seconds"),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        172_800..7_776_000 => (seconds / 86_400, "days"),
        7_776_000.. => return None,
    };
    Some(format!("{number} {unit}"))
}

/// How well something is. The order is the order of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It is broken, and does not mend itself.
    Failing,
    /// A message was refused, or waits for approval.
    Refused,
    /// It is wanted for more than a day, and is not there.
    Late,
    /// It, or what it depends on, ends soon.
    Expiring,
    /// It is out of circulation.
    Out,
    /// A person suspended it.
    Suspended,
    /// It is not known yet, or waits.
    Waiting,
    /// Work on it runs.
    Working,
    /// It is as specified.
    Good,
}

impl State {
    /// All states, in order.
    pub(super) const ALL: [Self; 9] = [
        Self::Failing,
        Self::Refused,
        Self::Late,
        Self::Expiring,
        Self::Out,
        Self::Suspended,
        Self::Waiting,
        Self::Working,
        Self::Good,
    ];

    /// One word for people, which is also the value of a filter.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Refused => "refused",
            Self::Late => "late",
            Self::Expiring => "expiring",
            Self::Out => "out",
            Self::Suspended => "suspended",
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Good => "good",
        }
    }

    /// Whether a person should look at it.
    pub(super) const fn needs_attention(self) -> bool {
        match self {
            Self::Failing | Self::Refused | Self::Late | Self::Expiring => true,
            Self::Out | Self::Suspended | Self::Waiting | Self::Working | Self::Good => false,
        }
    }

    /// The style of its badge. The word says the same, so that the colour is not needed.
    pub(super) const fn tone(self) -> &'static str {
        match self {
            Self::Failing | Self::Refused => "bad",
            Self::Late | Self::Expiring => "warn",
            Self::Out | Self::Suspended | Self::Waiting => "idle",
            Self::Working => "work",
            Self::Good => "good",
        }
    }
}

/// The badge of a state.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"<span class="badge {}">{}</span>"#, self.tone(), self.word())
    }
}

impl HtmlSafe for State {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_reorder_or_forge_what_is_shown() {
        let hostile = "a\u{202e}gnp.exe\u{0}\n<script>alert(1)</script>\u{200b}";
        let shown = Text::of(hostile);
        assert_eq!(shown.as_str(), "a\\u{202e}gnp.exe\\u{0}\\n<script>alert(1)</script>\\u{200b}");
        assert_eq!(Text::at_most("äöü", 2).as_str(), "äö…");
        assert_eq!(Text::of("x".repeat(5000)).as_str().chars().count(), 1025);
    }

    #[test]
    fn only_http_addresses_become_links_and_they_have_no_secrets() {
        for (address, shown) in [
            ("javascript:alert(1)", "javascript:alert(1)"),
            ("data:text/html,<script>", "data:text/html,&#60;script&#62;"),
            ("\"><img src=x onerror=alert(1)>", "&#34;&#62;&#60;img src=x onerror=alert(1)&#62;"),
            ("file:///etc/passwd", "file:///etc/passwd"),
        ] {
            assert_eq!(Address::of(address).to_string(), shown);
        }
        let link = Address::of("https://user:secret@example.org/a?token=secret#x").to_string();
        assert_eq!(
            link,
            "<a href=\"https://example.org/a\" rel=\"noopener noreferrer nofollow\">https://example.org/a</a>"
        );
        let quoted = Address::of("http://example.org/\"onmouseover=alert(1)").to_string();
        assert!(!quoted.contains("\"onmouseover"), "{quoted}");
    }

    #[test]
    fn times_are_said_from_now_on() {
        let now: Timestamp = "2026-11-22T07:00:00Z".parse().unwrap();
        let shown = |seconds: i64| relative(now + SignedDuration::from_secs(seconds), now);
        assert_eq!(shown(2), "now");
        assert_eq!(shown(-60), "60 seconds ago");
        assert_eq!(shown(3_600), "in 60 minutes");
        assert_eq!(shown(-86_400), "24 hours ago");
        assert_eq!(shown(10 * 86_400), "in 10 days");
        assert_eq!(shown(400 * 86_400), "2027-12-27");
        let moment = Moment::of(now, now).to_string();
        assert_eq!(moment, "<time datetime=\"2026-11-22T07:00:00Z\" title=\"2026-11-22T07:00:00Z\">now</time>");
    }
}
