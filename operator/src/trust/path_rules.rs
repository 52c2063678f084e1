//! What the certificates of a path have to satisfy besides the path itself: their digests and their keys.

use super::chain::Path;
use super::{AlgorithmPolicy, Refusal, RefusalReason, strength};

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

/// Allows SHA-2 and better. SHA-1 and MD5 are allowed only if the policy allows them.
pub(super) fn allowed(weak: &[&'static str], policy: AlgorithmPolicy, shown: &str, depth: u32) -> Result<(), Refusal> {
    let forbidden = |name: &&&str| match **name {
        "SHA-1" => !policy.allow_sha1,
        "MD5" => !policy.allow_md5,
        _ => true,
    };
    match weak.iter().find(forbidden) {
        None => Ok(()),
        Some(name) => {
            let reason = weak_reason(name);
            Err(Refusal::new(reason, format!("expected SHA-2 or better, found {name}")).about(shown, depth))
        }
    }
}

/// The refusal reason for a weak digest. SHA-1 is costly to forge; MD5 and older digests are not.
pub(super) fn weak_reason(name: &str) -> RefusalReason {
    if name.starts_with("MD") { RefusalReason::DigestBroken } else { RefusalReason::DigestNotAllowed }
}
