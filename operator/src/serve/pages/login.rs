//! The form that asks for the token, and messages in place of a page. Pure.

use askama::Template;

use super::frame::{Frame, Request};
use super::shown::Text;

/// The form.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct Login {
    frame: Frame,
    next: String,
    is_wrong: bool,
}

impl Login {
    /// The form. After it, the browser goes to `next`. `is_wrong`: another token was given before.
    pub(super) fn of(request: &Request, next: &str, is_wrong: bool) -> Self {
        // There is no session to end.
        let request = Request { has_login: false, ..request.clone() };
        Self { frame: Frame::of(&request, "Log in", ""), next: own_path(next), is_wrong }
    }
}

/// A path of this server; `/` if a text is none.
pub(super) fn own_path(text: &str) -> String {
    let is_own = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 2048
        && text.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_own { text.to_owned() } else { "/".to_owned() }
}

/// A message in place of a page.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Message {
    frame: Frame,
    message: Text,
}

impl Message {
    pub(super) fn of(request: &Request, title: &str, message: impl AsRef<str>) -> Self {
        Self { frame: Frame::of(request, title, ""), message: Text::of(message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_this_server_only() {
        assert_eq!(own_path("/images?q=a%20b"), "/images?q=a%20b");
        for other in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "/ä", "javascript:1"]
        {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
