//! OpenStack: the stand-in that other suites use, the real servers, and the client.

mod carry_over;
mod client;
mod conversation;
mod real;
mod stand_in;
mod telling;
