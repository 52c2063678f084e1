//! Keystone: the Identity API v3.
//!
//! * [`request`]: the request for a token (pure)
//! * [`session`]: a token, and what Keystone says about it
//! * [`catalogue`]: the address of Glance (pure)
//! * `login`: one log-in at a time, renewed before the token expires

pub mod catalogue;
pub(super) mod login;
pub mod request;
pub mod session;

pub use session::Session;
