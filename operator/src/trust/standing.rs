//! How a list that was accepted earlier stands now.

use super::{LastAccepted, Standing, VerifyRequest};

/// Verifies a stored message again: certificate dates at the time of its acceptance, revocation at `request.at`.
pub fn standing(_message: &[u8], _last: &LastAccepted, _request: &VerifyRequest<'_>) -> Standing {
    todo!()
}
