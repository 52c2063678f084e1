//! Glance: the Image Service API v2.
//!
//! * [`request`]: requests that create and change images (pure)
//! * [`listing`]: lists of images, in pages (pure)
//! * [`task`]: tasks of imports (pure)
//! * `caller`: one call, with a token
//! * `upload`: the body of an upload, from a file

pub(super) mod caller;
pub mod listing;
pub mod request;
pub mod task;
pub(super) mod upload;

pub use listing::{ImageFilter, Listing};
pub use request::{Change, NewImage, Value};
pub use task::{Task, TaskStatus};
