//! OpenStack: the real servers ([`RealOpenStack`]), and a stand-in on real sockets ([`OpenStack`]). The stand-in answers as
//! recorded servers do (Keystone 30.0.0, Glance 33.0.0), keeps its own time, and fails when it is told to. What the site, its
//! tenants and its volumes do is done to [`World`] directly.

#![allow(clippy::expect_used, clippy::panic, reason = "all of it is test code")]

mod detour;
mod faults;
mod http;
mod images;
mod import;
mod keystone;
mod listing;
mod members;
mod patch;
mod projects;
mod quota;
mod real;
mod request;
mod schema;
mod server;
mod upload;
mod world;

pub use detour::{Detour, Moment};
pub use faults::{Call, Fault};
pub use import::Task;
pub use keystone::Token;
pub use projects::{
    ADMIN, Credential, DTEAM, Endpoint, OPS, PASSWORD, PUBLISHER, Project, READONLY, User, VMCATCHER, ids,
};
pub use quota::Limits;
pub use real::RealOpenStack;
pub use request::{Answer, Request, Service};
pub use server::OpenStack;
pub use world::{Image, Member, World};
