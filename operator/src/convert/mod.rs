//! What an image file is: formats are found by looking into the bytes, never believed from names or from a list.

pub mod sniff;

pub use sniff::{Format, Sniffed};
