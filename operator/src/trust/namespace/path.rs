//! The certificates of a path, against the signing policies of their issuers.

use crate::trust::certificate::Certificate;
use crate::trust::chain::Path;
use crate::trust::{Anchors, Refusal, RefusalReason};

/// Checks each certificate against the policy of its issuer, from the signer up. The anchor itself is not checked,
/// because an administrator installed it. The result is a description, or `None` if there are no policies.
pub(in crate::trust) fn check(path: &Path, anchors: &Anchors) -> Result<Option<String>, Refusal> {
    let policies = anchors.policies();
    if !policies.asked() {
        return Ok(None);
    }
    let below_anchor = path.certificates().len().saturating_sub(1);
    for (depth, certificate, issuer) in path.issued().take(below_anchor) {
        if let Some(why) = policies.objection(&issuer.subject, &certificate.subject) {
            return Err(Refusal::new(RefusalReason::NamespaceViolation, why).about(certificate.shown(), depth));
        }
    }
    let issuers = path.certificates().iter().skip(1).map(Certificate::shown).collect::<Vec<_>>();
    Ok(Some(if issuers.is_empty() { "the signer is an anchor itself".to_owned() } else { issuers.join(", ") }))
}
