//! What a conversion is asked for, and the limits of all of them.

use std::path::PathBuf;
use std::time::Duration;

use crate::convert::Form;
use crate::imagelist::Sha512Digest;

/// The key of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversionKey {
    /// SHA-512 of the source image.
    pub source: Sha512Digest,
    /// The target form.
    pub form: Form,
}

impl std::fmt::Display for ConversionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}… to {}", self.source.short(), self.form)
    }
}

/// Limits of conversions.
#[derive(Debug, Clone)]
pub struct ConversionLimits {
    /// The maximum number of conversions at the same time.
    pub at_once: usize,
    /// The maximum size of a disk in bytes.
    pub largest: u64,
    /// The maximum duration of one conversion.
    pub timeout: Duration,
    /// The `qemu-img` program: a path, or a name that is searched in `PATH`.
    pub program: PathBuf,
}

impl Default for ConversionLimits {
    fn default() -> Self {
        Self { at_once: 1, largest: 1 << 40, timeout: Duration::from_hours(2), program: PathBuf::from("qemu-img") }
    }
}
