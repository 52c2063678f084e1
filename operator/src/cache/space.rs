//! The free space of a volume.

use std::fmt;

use crate::size::Size;

/// The bytes that the user of this process can still write, and how many of them are kept free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// All free bytes.
    pub bytes: u64,
    /// The bytes that downloads and conversions must not use.
    pub kept: u64,
}

impl Free {
    /// The bytes that downloads and conversions may use.
    pub const fn usable(self) -> u64 {
        self.bytes.saturating_sub(self.kept)
    }
}

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free, {} kept free by --min-free", Size(self.bytes), Size(self.kept))
    }
}
