//! The real servers.
