//! What the operator serves over HTTP: images, to clouds that pull them.

mod images;
mod listening;
mod range;
mod ticket;

pub use images::{ImageServer, router};
pub use listening::{Limits, Listening};
pub use ticket::{Clock, KeyError, TicketError, Tickets};
