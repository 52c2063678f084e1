//! Drives the reconcilers over an API server.

mod drive;
mod feed;
mod named;
mod queue;
mod shared;
mod wake;
mod work;

pub use drive::{Driver, PartEnded};
