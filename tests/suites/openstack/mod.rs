//! OpenStack: the client of Keystone and Glance, the stand-in that other suites use, and the real servers.

mod carry_over;
mod client;
mod conversation;
mod real;
mod stand_in;
mod target;
mod telling;
