//! How far clocks may differ.

use jiff::SignedDuration;

/// How far the clock of a publisher or a signer may be ahead of ours.
pub(super) const SKEW: SignedDuration = SignedDuration::from_mins(5);
