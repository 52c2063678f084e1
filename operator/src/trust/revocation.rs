//! Checks that no certificate on the path is revoked, with the signed CRL of every CA on it (RFC 5280 section 6.3).
//!
//! This module checks the path that OpenSSL built. OpenSSL itself has no mode like `IfPresent`, and it parses long CRLs
//! slowly.

use jiff::Timestamp;

use super::certificate::Certificate;
use super::chain::Path;
use super::crl::{Crl, newest_signed};
use super::{Anchors, CrlPolicy, Refusal, RefusalReason};
use crate::size::Count;

/// Checks each certificate against the CRL of its issuer, from the signer up. Returns a description of what was found.
pub(super) fn check(path: &Path, anchors: &Anchors, policy: CrlPolicy, at: Timestamp) -> Result<String, Refusal> {
    if policy == CrlPolicy::Ignore {
        return Ok("CRLs are ignored".to_owned());
    }
    let (mut asked, mut without) = (0_usize, 0_usize);
    let mut trouble: Option<Refusal> = None;
    for (depth, certificate, issuer) in path.issued() {
        match of_one(certificate, issuer, anchors, policy, at) {
            Ok(true) => asked += 1,
            Ok(false) => without += 1,
            Err(refusal) => {
                let refusal = refusal.about(certificate.shown(), depth);
                trouble = Some(match trouble {
                    Some(first) if weight(&first) >= weight(&refusal) => first,
                    Some(_) | None => refusal,
                });
            }
        }
    }
    match trouble {
        Some(refusal) => Err(refusal),
        None if without == 0 => Ok(format!("{} asked, none is revoked", Count(asked, "certificate"))),
        None => Ok(format!("{} asked, none is revoked; no CRL for {without}", Count(asked, "certificate"))),
    }
}

/// The weight of a finding, to choose which of several is reported: a revocation before a missing or expired CRL, and a
/// compromise before all others.
fn weight(refusal: &Refusal) -> u8 {
    u8::from(refusal.reason == RefusalReason::CertificateRevoked) + u8::from(refusal.is_statement())
}

/// Whether there is a valid CRL for this certificate; an error if it is revoked. `false` means that there is no CRL and
/// none is required.
fn of_one(
    certificate: &Certificate,
    issuer: &Certificate,
    anchors: &Anchors,
    policy: CrlPolicy,
    at: Timestamp,
) -> Result<bool, Refusal> {
    let named = anchors.crls_of(&issuer.subject);
    if named.is_empty() {
        return missing(issuer, anchors, policy).map_or(Ok(false), Err);
    }
    let crl = newest(named, certificate, issuer, at)?;
    if let Some(entry) = crl.entry(&certificate.serial) {
        let reason = entry.reason_name();
        let message = format!("on the CRL of {} since before {}, reason {reason}", issuer.subject, crl.this_update);
        let refusal = Refusal::new(RefusalReason::CertificateRevoked, message);
        return Err(if entry.is_benign_revocation() { refusal } else { refusal.stated() });
    }
    in_time(crl, issuer, at).map(|()| true)
}

/// The refusal for a CA without a CRL, if the policy refuses it. A file that has the name of its CRL but other content
/// counts as an invalid CRL.
fn missing(issuer: &Certificate, anchors: &Anchors, policy: CrlPolicy) -> Option<Refusal> {
    let message = || format!("expected a CRL of {}, found {}", issuer.subject, anchors.instead_of_crl(issuer));
    match policy {
        CrlPolicy::IfPresent if anchors.has_unusable_crl(issuer) => {
            Some(Refusal::new(RefusalReason::CRLInvalid, message()))
        }
        CrlPolicy::Ignore | CrlPolicy::IfPresent => None,
        CrlPolicy::Require => Some(Refusal::new(RefusalReason::CRLMissing, message())),
    }
}

/// The newest CRL that the issuer signed and that covers the certificate. One whose `thisUpdate` has been reached is
/// preferred.
fn newest<'a>(
    named: &'a [Crl],
    certificate: &Certificate,
    issuer: &Certificate,
    at: Timestamp,
) -> Result<&'a Crl, Refusal> {
    let invalid = |found: &str| {
        Refusal::new(RefusalReason::CRLInvalid, format!("expected a CRL of {}, found {found}", issuer.subject))
    };
    if !issuer.may_sign_crls() {
        return Err(invalid("that its key usage does not allow it to sign CRLs"));
    }
    let mut speaking = named.iter().filter(|crl| crl.speaks_of(certificate)).peekable();
    if speaking.peek().is_none() {
        return Err(invalid("only CRLs that do not speak of this certificate"));
    }
    newest_signed(speaking, issuer, at).ok_or_else(|| invalid("one that it did not sign"))
}

fn in_time(crl: &Crl, issuer: &Certificate, at: Timestamp) -> Result<(), Refusal> {
    let of = &issuer.subject;
    if crl.this_update > at {
        let message =
            format!("expected a CRL of {of} that is valid already, found one that begins at {}", crl.this_update);
        return Err(Refusal::new(RefusalReason::CRLNotYetValid, message));
    }
    if crl.next_update <= at {
        let message =
            format!("expected a CRL of {of} that is still valid, found one that ended at {}", crl.next_update);
        return Err(Refusal::new(RefusalReason::CRLExpired, message));
    }
    Ok(())
}
