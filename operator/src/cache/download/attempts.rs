//! The state of a download between two tries.

use crate::cache::partial::Partial;
use crate::cache::quota::Claim;
use crate::fetch::{Came, FetchError, RateFloor, SMALL_IMAGE};

/// The state between two tries.
pub(super) struct Attempts {
    /// `None` before the first try, and while the writing thread owns it.
    pub(super) partial: Option<Partial>,
    pub(super) floor: RateFloor,
    /// Whether the next try may share a connection: the first one of a small image.
    pub(super) shares: bool,
    /// Its part of the quota, from the first slot on.
    pub(super) claim: Option<Claim>,
    /// The highest number of bytes so far. Only more than that is progress.
    pub(super) best: u64,
    /// Whether the bytes are of more than one connection or run. They may be of two versions of the file.
    pub(super) resumed: bool,
    /// Whether the download has already started from zero once after a mismatch.
    pub(super) started_clean: bool,
    /// Whether the last response was decoded.
    pub(super) decoded: bool,
    /// Whether encoded responses are stored without decoding, because the decoded bytes were wrong.
    pub(super) as_it_is: bool,
    /// The description of the last response.
    pub(super) came: Box<Came>,
}

impl Attempts {
    pub(super) fn new(floor: RateFloor, size: u64) -> Self {
        let shares = size <= SMALL_IMAGE;
        let (resumed, started_clean, decoded, as_it_is) = (false, false, false, false);
        let came = Box::default();
        Self { partial: None, floor, shares, claim: None, best: 0, resumed, started_clean, decoded, as_it_is, came }
    }

    /// Whether the wrong bytes had been decoded. If so, switches once to storing the response without decoding.
    pub(super) fn turns_to_what_came(&mut self) -> bool {
        let turns = self.decoded && !self.as_it_is;
        self.as_it_is |= turns;
        turns
    }

    /// Whether there are more bytes than before, and updates `best`.
    pub(super) fn made_progress(&mut self) -> bool {
        let length = self.partial.as_ref().map_or(0, Partial::length);
        let more = length > self.best;
        self.best = self.best.max(length);
        more
    }
}

/// The result of a try that did not end the download.
pub(super) enum Tried {
    /// All bytes were received.
    Complete,
    /// The connection failed. The received bytes are kept.
    Broken(FetchError),
    /// The received bytes are of no use. The next try is made without decoding.
    Anew,
}
