//! The carry-over on a model of Glance.

mod carry;
mod chance;
mod change;
mod cuts;
mod model;
mod recognise;
mod site;
mod trouble;
mod world;
