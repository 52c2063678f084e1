//! Queries and forms: names with texts, bounded. Pure.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

/// The most pairs that are read.
const MOST: usize = 32;

/// The pairs of a query or a form.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `application/x-www-form-urlencoded` (WHATWG URL section 5.1).
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).take(MOST).map(|(name, text)| (name.into(), text.into())).collect())
    }

    /// The first text of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

/// A text as the value of a query.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_far_as_it_goes() {
        let query = Query::read("q=a%20b%3D&state=late&q=2&=&%ff=%ff".as_bytes());
        assert_eq!((query.get("q"), query.get("state"), query.get("none")), (Some("a b="), Some("late"), None));
        assert_eq!(Query::read(format!("q={}", escaped("ä&<=")).as_bytes()).get("q"), Some("ä&<="));
        assert!(Query::read(&b"&a=b".repeat(1000)).0.len() <= MOST);
    }
}
