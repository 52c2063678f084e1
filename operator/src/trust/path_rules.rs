//! What the certificates of a path have to satisfy besides the path itself: their digests, their keys, and the namespaces of
//! their issuers.

use super::certificate::Certificate;
use super::chain::Path;
use super::weak_digest::allowed;
use super::{AlgorithmPolicy, Anchors, Refusal, RefusalReason, strength};

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

    /// Checks each certificate against the policy of its issuer, from the signer up. The anchor itself is not checked,
    /// because an administrator installed it. The result is a description, or `None` if there are no policies.
    pub(super) fn keeps_to_namespaces(&self, anchors: &Anchors) -> Result<Option<String>, Refusal> {
        let policies = anchors.policies();
        if !policies.asked() {
            return Ok(None);
        }
        let below_anchor = self.certificates().len().saturating_sub(1);
        for (depth, certificate, issuer) in self.issued().take(below_anchor) {
            if let Some(why) = policies.objection(&issuer.subject, &certificate.subject) {
                return Err(Refusal::new(RefusalReason::NamespaceViolation, why).about(certificate.shown(), depth));
            }
        }
        let issuers = self.certificates().iter().skip(1).map(Certificate::shown).collect::<Vec<_>>();
        Ok(Some(if issuers.is_empty() { "the signer is an anchor itself".to_owned() } else { issuers.join(", ") }))
    }
}
