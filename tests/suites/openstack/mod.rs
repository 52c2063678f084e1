//! OpenStack: the client of Keystone and Glance.

mod client;
