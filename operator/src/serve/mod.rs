//! What the operator serves over HTTP: images, to clouds that pull them; health and metrics.

mod figures;
mod images;
mod listening;
mod monitor;
mod range;
mod ticket;

pub use images::{ImageServer, router};
pub use listening::{Limits, Listening};
pub use monitor::{Monitor, monitor_router};
pub use ticket::{Clock, KeyError, TicketError, Tickets};
