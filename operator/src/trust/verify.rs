//! Is this message signed by someone we believe?

use super::{Verification, VerifyRequest};

/// Takes a message apart and proves who signed it.
pub fn verify(_message: &[u8], _request: &VerifyRequest<'_>) -> Verification {
    todo!()
}
