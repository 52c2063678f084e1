//! Why a page cannot be made, and what is shown instead.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::answer::html;
use super::frame::Request;
use super::login::Message;

/// Why a page cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The program has not begun, or ends.
    NotNow,
    /// There is no such object or version. The sentence says which.
    NotFound(&'static str),
    /// A version is not given out, for this reason.
    Withheld(String),
    /// The volume cannot be read. The error is logged, and not shown: it has paths of the machine.
    Unreadable(String),
    /// It takes too long.
    Late(String),
}

impl Refused {
    /// The response in place of the page.
    pub(super) fn response(&self, request: &Request) -> Response<Body> {
        let (status, title, message) = match self {
            Self::NotNow => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "This process waits for its turn, because another one leads or owns the volume; or it ends. Load the page \
                 again."
                    .to_owned(),
            ),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "Not found", (*what).to_owned()),
            Self::Withheld(reason) => {
                (StatusCode::FORBIDDEN, "Not given out", format!("This version is not given out. {reason}"))
            }
            Self::Unreadable(error) => {
                tracing::warn!(%error, "a page cannot be made");
                let message = "The volume cannot be read. The log has the reason.".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, "Not readable", message)
            }
            Self::Late(error) => {
                (StatusCode::SERVICE_UNAVAILABLE, "Too slow", format!("The page is not ready in time: {error}"))
            }
        };
        html(status, &Message::of(request, title, message))
    }
}
