//! Whether the CRLs that an endorser's signatures need exist and are valid now. Pure.

use jiff::Timestamp;

use crate::reconcile::conditions::Finding;
use crate::trust::{Anchors, Credential, CredentialKind, CrlPolicy, DistinguishedName, EndorserRule, Freshness};

const NAME: &str = "CRLsFresh";

/// The condition, and the end of the CRL that expires next.
pub(super) fn crls_fresh(rule: &EndorserRule, anchors: &Anchors, now: Timestamp) -> (Finding, Option<Timestamp>) {
    if rule.crl_policy == CrlPolicy::Ignore {
        return (Finding::holds(NAME, "Ignored", "crlPolicy says that CRLs are not looked at"), None);
    }
    let is_certificate = |credential: &Credential| matches!(credential.kind, CredentialKind::X509 { .. });
    if !rule.credentials.iter().any(is_certificate) {
        return (Finding::holds(NAME, "NoCRLs", "its keys have none: an OpenPGP key carries its revocation"), None);
    }
    let issuers = rule.credentials.iter().filter_map(|credential| issuer(&credential.kind));
    let found: Vec<_> = issuers.flat_map(|issuer| anchors.crl_freshness(issuer, now)).collect();
    let ends = found.iter().filter_map(|(_, freshness)| match freshness {
        Freshness::Fresh(until) => Some(*until),
        Freshness::Missing(_) | Freshness::Expired(_) | Freshness::NotYetValid(_) => None,
    });
    let ends = ends.min();
    if found.is_empty() {
        let message = "no issuer of its credentials is a trust anchor; CRLs are asked when a list is verified";
        return (Finding::unknown(NAME, "IssuerUnknown", message), None);
    }
    let trouble = found.iter().find_map(|(issuer, freshness)| match freshness {
        Freshness::Missing(found) if rule.crl_policy == CrlPolicy::Require => {
            Some(("CRLMissing", format!("expected a CRL of {issuer}, found {found}")))
        }
        Freshness::Expired(at) => {
            Some(("CRLExpired", format!("expected a current CRL of {issuer}, found one that ended at {at}")))
        }
        Freshness::NotYetValid(at) => {
            Some(("CRLNotYetValid", format!("expected a current CRL of {issuer}, found one that begins at {at}")))
        }
        Freshness::Fresh(_) | Freshness::Missing(_) => None,
    });
    let finding = match (trouble, ends) {
        (Some((reason, message)), _) => Finding::fails(NAME, reason, message),
        (None, Some(until)) => Finding::holds(NAME, "Succeeded", format!("the next CRL is due at {until}")),
        (None, None) => Finding::holds(NAME, "NoCRLs", "there are none, and none is asked for"),
    };
    (finding, ends)
}

/// The issuer of a certificate, if one is named.
fn issuer(kind: &CredentialKind) -> Option<&DistinguishedName> {
    match kind {
        CredentialKind::X509 { issuer, .. } => issuer.as_ref(),
        CredentialKind::OpenPgp(_) | CredentialKind::Cosign(_) => None,
    }
}
