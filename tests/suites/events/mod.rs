//! Events: the spool, the sinks that deliver them to real receivers, and the whole program that makes them.

mod amqp;
mod broker;
mod exec;
mod file;
mod reconcile;
mod progress;
mod spool;
mod webhook;
