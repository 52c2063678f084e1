//! OCI registries as sources: what of a repository enters, and what does not.

mod client;
mod judge;
mod real;
pub(crate) mod registry;
mod site;
mod succession;
mod tokens;
mod verification;
