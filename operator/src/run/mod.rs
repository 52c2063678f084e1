//! The drivers: which object is reconciled when, over an API server and over a folder of manifests.

mod damage;
mod dependents;
pub mod directory;
pub mod kubernetes;
mod pass;
mod progress;
mod work;

pub use progress::ProgressReports;
