//! Publishing to an OpenNebula, on a stand-in that behaves as recorded servers do.

mod carry;
mod cuts;
mod handler;
mod identity;
mod load;
mod recordings;
mod site;
mod trouble;
mod wire;
