//! What the certificates of a path have to satisfy besides the path itself: their digests and their keys.

use super::algorithm::allowed;
use super::chain::Path;
use super::{AlgorithmPolicy, Refusal, strength};

impl Path {
    /// Checks the digests of the CAs' signatures. The anchor's own signature is not checked, because it proves nothing.
    pub(super) fn digests_are_allowed(&self, policy: AlgorithmPolicy) -> Result<(), Refusal> {
        let certificates = self.certificates();
        let issued = &certificates[..certificates.len().saturating_sub(1)];
        (0_u32..).zip(issued).try_for_each(|(depth, certificate)| {
            let weak: Vec<_> = certificate.weak_digest.into_iter().collect();
            allowed(&weak, policy, &certificate.shown(), depth)
        })
    }

    /// Checks the strength of all keys of the path. The anchor's key is one of them, because it signs the next
    /// certificate and the anchor's CRLs.
    pub(super) fn keys_are_strong(&self, policy: AlgorithmPolicy) -> Result<(), Refusal> {
        let mut all = (0_u32..).zip(self.certificates());
        all.try_for_each(|(depth, certificate)| strength::strong(certificate, depth, policy.weakest_key))
    }
}
