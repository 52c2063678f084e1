//! Events: the spool, the sinks that deliver them to real receivers, and the whole program that makes them.

mod amqp;
mod broker;
mod exec;
mod file;
mod progress;
mod reconcile;
mod spool;
pub(crate) mod webhook;
