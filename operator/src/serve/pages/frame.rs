//! What all pages have in common: the title, the navigation, and the time of the page. Pure.

use jiff::Timestamp;

use super::shown::Text;
use crate::api::ObjectKey;

/// The frame of a page.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub title: Text,
    /// The entry of the navigation that is the current one; empty for none.
    pub section: &'static str,
    /// The address of the page, for the link that loads it again.
    pub here: String,
    /// Whether there is a session to end.
    pub has_login: bool,
    /// When the page was made, in whole seconds.
    pub made: String,
}

/// The sections, each with its address.
const SECTIONS: [(&str, &str); 6] = [
    ("Overview", "/"),
    ("Subscriptions", "/subscriptions"),
    ("Images", "/images"),
    ("Endorsers", "/endorsers"),
    ("Clouds", "/clouds"),
    ("Events", "/events"),
];

impl Frame {
    /// The same frame with a title and a section.
    pub(super) fn of(request: &Request, title: impl AsRef<str>, section: &'static str) -> Self {
        let Request { here, has_login, now } = request;
        let made = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        Self { title: Text::at_most(title.as_ref(), 200), section, here: here.clone(), has_login: *has_login, made }
    }

    /// The sections: name, address, and whether it is the current one.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        SECTIONS.into_iter().map(|(name, address)| (name, address, name == self.section))
    }
}

/// What a page needs to know about its request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Path and query.
    pub here: String,
    pub has_login: bool,
    pub now: Timestamp,
}

/// The address of the page of an image or a subscription. The names of objects need no escapes in a path.
pub(super) fn page_of(section: &str, key: &ObjectKey) -> String {
    format!("/{section}/{}/{}", key.namespace, key.name)
}
