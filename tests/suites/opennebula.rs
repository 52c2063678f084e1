//! Publishing to an OpenNebula, on a stand-in that behaves as recorded servers do.

mod carry;
mod credential;
mod cuts;
mod handler;
mod identity;
mod load;
mod recordings;
mod retirement;
mod site;
mod trouble;
mod wire;
