//! Is nobody on the path revoked? The CRL of every CA on it, with its signature (RFC 5280 section 6.3).
//!
//! `IfPresent` is no mode of OpenSSL, and its CRL readers are slow for long lists; so this walks the path that
//! OpenSSL built.

use jiff::Timestamp;

use super::certificate::Certificate;
use super::chain::Path;
use super::crl::{Crl, newest_signed};
use super::{Anchors, CrlPolicy, Refusal, RefusalReason};
use crate::size::Count;

/// Asks the CRL of each certificate's issuer, from the signer up. Gives what was found, for people.
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

/// Which of several findings is told: a revocation before a CRL that is missing or old, a compromise before all.
fn weight(refusal: &Refusal) -> u8 {
    u8::from(refusal.reason == RefusalReason::CertificateRevoked) + u8::from(refusal.is_statement())
}

/// Whether a CRL speaks of this certificate and does not revoke it.
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
        return Err(if entry.only_out_of_use() { refusal } else { refusal.stated() });
    }
    in_time(crl, issuer, at).map(|()| true)
}

/// What is said of a CA without a CRL. A file of its name that holds something else is a bad CRL, as against none.
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

/// The newest CRL that the issuer signed, of those that speak of the certificate and have begun, if one has.
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
