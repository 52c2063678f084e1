//! What the operator serves over HTTP: images, to clouds that pull them.

mod images;
mod range;
mod ticket;

pub use images::{ImageServer, router};
pub use ticket::{Clock, TicketError, Tickets};
