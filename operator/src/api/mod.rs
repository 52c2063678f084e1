//! The custom resources: types, conditions, columns. No logic but small accessors.

mod class;

pub use class::Class;
