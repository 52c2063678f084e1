//! The suites: one binary, one module a behaviour.
