//! Events: the spool, and the sinks that deliver them to real receivers.

mod amqp;
mod broker;
mod exec;
mod file;
mod spool;
mod webhook;
