//! What the operator serves over HTTP: images, to clouds that pull them; health and metrics.

mod figures;
mod images;
mod listening;
mod monitor;
mod range;
mod ticket;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

pub use images::{ImageServer, router};
pub use listening::{Limits, Listening};
pub use monitor::{Monitor, monitor_router};
pub use ticket::{Clock, KeyError, TicketError, Tickets};

/// A line of text as an answer.
fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
