//! OpenStack: the stand-in that other suites use, and the real servers.

mod conversation;
mod real;
mod stand_in;
mod telling;
