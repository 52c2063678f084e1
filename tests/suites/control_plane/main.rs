//! On a real API server: one binary, one control plane, a namespace a test.
//!
//! `tests/control-plane/get` makes the programs; then `cargo test --test control_plane -- --ignored`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of it is test code, helpers included; figures are printed for people"
)]

mod abandoned;
mod chart;
mod chart_definitions;
mod chart_values;
mod churn;
mod clouds;
mod current;
mod definitions;
mod deletion_orders;
mod doctor;
mod gitops;
mod hooks;
mod import;
mod leaders;
mod ledger;
mod many;
mod missing_definitions;
#[path = "../import/old.rs"]
#[allow(dead_code, reason = "the suite `import` uses all of it")]
mod old;
mod operator;
mod outages;
mod ownership;
mod pages;
mod people;
mod prometheus;
mod proxy;
mod reconcilers;
mod revocation;
mod rights;
mod scraped;
mod shards;
mod subscribe;
mod tasks;
mod upgrade;
