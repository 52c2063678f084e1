//! OpenNebula: XML-RPC calls, and the carry-over that lets a new version take an old image's place.
//!
//! * [`xmlrpc`]: calls and answers as XML-RPC has them, read by [`crate::xml`]
//! * [`transport`]: one HTTP POST, bounded in time and size
//! * [`client`]: the calls of OpenNebula 5.12 to 7.x that are used here, typed
//! * [`document`]: images, datastores, users as OpenNebula describes them
//! * [`permit`]: who may change a cloud
//! * [`carry_over`]: how a new version takes the place of an old one
//! * [`template`]: attributes, written so that no text can become another attribute
//!
//! Facts about the API are from the OpenNebula documentation ("XML-RPC API") and from traffic recorded with servers of
//! 5.12.12 and 7.4.0, which the suites replay.

pub mod carry_over;
pub mod client;
pub mod document;
pub mod error;
pub mod permit;
pub mod template;
pub mod transport;
pub mod xmlrpc;

pub use client::Client;
pub use error::{OneError, Reason};
pub use permit::Permit;
