//! The HTTP servers: images for clouds that pull them; health, metrics and progress; web pages.

mod connections;
mod exposition;
mod figures;
mod file_body;
mod images;
mod known_blobs;
mod listening;
mod monitor;
mod pages;
mod peer;
mod process;
mod progress;
mod served_volume;
mod ticket;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

pub use connections::Limits;
pub use exposition::Exposition;
pub use images::{ImageServer, router};
pub use listening::{App, Listening};
pub use monitor::{Monitor, monitor_app};
pub use pages::{Guard, GuardError, Pages, TokenError, pages_router};
pub use progress::{ProgressPage, RunningWork};
pub use ticket::{Clock, KeyError, TicketError, Tickets};

/// A response with one line of text.
fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
