//! The carry-over on a model of Glance.

mod chance;
mod cuts;
mod site;
mod world;
