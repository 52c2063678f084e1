//! A stand-in OpenNebula on a real socket. It answers as recorded servers of 5.12.12 and 7.4.0 do, keeps its own time,
//! and fails when it is told to. What the site, its tenants and its VMs do is done to [`World`] directly.

#![allow(clippy::expect_used, clippy::panic, reason = "all of it is test code")]

mod acl;
mod allocate;
mod authorise;
mod change;
mod codec;
mod dispatch;
mod document;
mod pull;
mod read;
mod server;
mod template;
mod world;

pub use codec::{ProtocolFault, decode_call, encode_fault};
pub use server::{Call, Cloud, Fault};
pub use template::{ParseError, parse_template};
pub use world::{Datastore, Dialect, Due, File, Group, Image, Lock, ONEADMIN, Refusal, State, User, World};
