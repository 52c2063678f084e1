//! Registries of OCI artefacts (OCI distribution specification 1.1): tags, manifests, blobs and referrers.
//!
//! A registry that wants tokens names the server that makes them. The credentials go there only if it is the registry
//! itself, or if their Secret allows it; and only a token to pull from the one repository is asked for.

mod access;
mod calls;
mod challenge;
mod pages;
mod token;
mod tokens;

pub use access::{RealmRule, RegistryAccess};
pub use calls::{FetchedManifest, Registry};
pub(super) use challenge::BearerChallenge;
pub(super) use tokens::Tokens;
