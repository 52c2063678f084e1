//! Drives the reconcilers over an API server.

mod drive;
mod queue;
mod referenced;
mod shared;
mod watch;
mod work;
mod work_queues;

pub use drive::{Driver, PartEnded};
