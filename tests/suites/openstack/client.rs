//! The client of Keystone and Glance, against servers that are slow, cut off, huge, hostile or in need of a new token.

mod calls;
mod server;
mod tokens;
mod uploads;
