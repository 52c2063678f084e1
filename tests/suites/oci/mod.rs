//! OCI registries as sources: what of a repository enters, and what does not.

mod client;
mod real;
mod registry;
mod site;
mod tokens;
mod verification;
