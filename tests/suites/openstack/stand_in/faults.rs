//! Faults of the stand-in.
