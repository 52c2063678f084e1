//! The drivers: which object is reconciled when, over an API server and over a folder of manifests.

mod damage;
pub mod directory;
pub mod kubernetes;
