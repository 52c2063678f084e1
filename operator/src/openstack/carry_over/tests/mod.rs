//! The carry-over on a model of Glance.

mod carry;
mod chance;
mod cuts;
mod recognise;
mod site;
mod trouble;
mod world;
