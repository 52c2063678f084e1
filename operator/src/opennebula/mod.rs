//! OpenNebula: XML-RPC calls, and the carry-over, which replaces an old image by a new version.
//!
//! * [`xmlrpc`]: XML-RPC calls and responses, parsed by [`crate::xml`]
//! * [`transport`]: one HTTP POST, limited in time and size
//! * [`client`]: the calls of OpenNebula 5.12 to 7.x that the operator uses, with types
//! * [`document`]: images, datastores and users in OpenNebula's documents
//! * [`carry_over`]: how a new version replaces an old one
//! * [`target`]: an OpenNebula as the reconciler uses it
//! * [`template`]: attributes, encoded so that a value cannot become another attribute
//!
//! Facts about the API are from the OpenNebula documentation ("XML-RPC API") and from traffic recorded with servers of
//! 5.12.12 and 7.4.0, which the suites replay.

pub mod carry_over;
pub mod client;
pub mod document;
pub mod error;
pub mod target;
pub mod template;
pub mod transport;
pub mod xmlrpc;

pub use client::Client;
pub use error::OneError;
pub use target::Target;
