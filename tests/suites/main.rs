//! The suites: one binary, one module a behaviour.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of it is test code, helpers included; figures are printed for people"
)]

mod architecture;
#[path = "../attacks/mod.rs"]
mod attacks;
mod backup;
mod bad_manifests;
mod cache;
mod chart;
mod commands;
mod convert;
mod crds;
mod disk_image;
mod events;
mod examples;
mod fetch;
mod http2;
mod image;
mod imagelist;
mod import;
mod kill;
mod list_commands;
mod logging;
mod metrics;
mod oci;
mod opennebula;
mod openstack;
mod pages;
mod proxies;
mod reasons;
mod reconcile;
mod serve;
mod traces;
mod trust;
