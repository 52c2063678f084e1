//! Publishing to an OpenStack, on a stand-in that behaves as recorded servers do.

mod carry;
mod cuts;
mod load;
mod site;
