//! OpenStack: the client of Keystone and Glance, the carry-over, whole sites, the stand-in, and the real servers.

mod carry_over;
mod client;
mod conversation;
mod real;
mod stand_in;
mod target;
mod telling;
