//! May this list replace the one in force?

use super::{AcceptRequest, Acceptance, VerifiedList};

/// Judges whether a verified list may replace the one in force.
pub fn accept(_list: VerifiedList, _request: &AcceptRequest<'_>) -> Acceptance {
    todo!()
}
