//! Verifies a list again that was accepted earlier.

use jiff::Timestamp;

use super::endorsement::{self, Group, Judgement, Times};
use super::payload::{self, Payload};
use super::{
    AcceptedList, CredentialKind, EndorserRule, Fingerprint, LastAccepted, Refusal, RefusalReason, Reverification,
    RevokedSigner, Sha256Digest, VerifiedList, VerifyRequest, parts, repository,
};
use crate::imagelist::{ImageId, ListFormat};

/// Verifies a stored message again. The certificates' dates are checked at the time of its acceptance, everything else
/// at `request.at`.
///
/// An explicit revocation withdraws the list if too few signers are left without the revoked one. It is either a CA
/// that revoked a certificate on a signer's path, or an administrator who revoked an endorser or a credential. Anything
/// missing or expired only freezes the list. The list's own expiry is not checked here. A revocation by a CA is
/// permanent, so the caller must store [`AcceptedList::revoked`].
pub fn reverify(message: &[u8], last: &LastAccepted, request: &VerifyRequest<'_>) -> Reverification {
    match request.format {
        ListFormat::Hepix | ListFormat::Checksums(_) | ListFormat::SimpleStreams(_) => {
            reverify_signed(message, last, request)
        }
        ListFormat::Oci(_) => repository::reverify(message, last, request),
    }
}

/// Verifies a message again that is signed as a whole, or each of whose files is.
fn reverify_signed(message: &[u8], last: &LastAccepted, request: &VerifyRequest<'_>) -> Reverification {
    let proven = match parts::authenticate(message, request, &mut Vec::new()) {
        Ok(proven) => proven,
        Err(refusal) => return Reverification::Broken(refusal),
    };
    let payload = match payload::read(&proven, request.format, request.wanted, Some(last.created)) {
        Ok(payload) if payload.digest != last.payload => {
            return Reverification::Broken(other_bytes(payload.digest, last));
        }
        // The identifier of a list that is not in its text follows from the address, which may have changed.
        Ok(payload) if payload.list.identifier != last.identifier => {
            return Reverification::Broken(other_list(&payload.list.identifier, last));
        }
        Ok(payload) => payload,
        Err(refusal) => return Reverification::Broken(refusal),
    };
    let times = Times { path: last.accepted, crls: request.at };
    let mut parts: Vec<_> = proven.iter().map(|part| endorsement::judge(&part.signers, request, times)).collect();
    for groups in &mut parts {
        recall(groups, last);
    }
    let revoked = revoked(&parts, last, request.at);
    let counted: Vec<_> = parts.iter().map(|groups| endorsement::assign(groups)).collect();
    let required = request.policy.required();
    if counted.iter().all(|counted| counted.len() >= required) {
        let verified = payload.verified(&counted, required, message);
        return Reverification::InForce(AcceptedList { verified, accepted: last.accepted, revoked });
    }
    let as_accepted = AcceptedList { revoked, ..remembered(payload, last, &parts, required, message) };
    let short: Vec<_> = parts.iter().zip(&counted).filter(|(_, counted)| counted.len() < required).collect();
    if let Some(refusal) = short.iter().find_map(|(groups, _)| withdrawal(groups, last, request)) {
        return Reverification::Withdrawn(as_accepted, refusal);
    }
    match short.first() {
        Some((groups, counted)) => Reverification::Frozen(as_accepted, endorsement::missing(groups, counted, required)),
        None => Reverification::InForce(as_accepted),
    }
}

/// The explicit revocation that leaves too few signers of a part.
fn withdrawal(groups: &[Group<'_>], last: &LastAccepted, request: &VerifyRequest<'_>) -> Option<Refusal> {
    let signed: Vec<&Group<'_>> = groups.iter().filter(|group| signed_then(group, last)).collect();
    let statements: Vec<Refusal> = signed.iter().filter_map(|group| statement(group, last, request)).collect();
    let left = signed.len() - statements.len();
    statements.into_iter().next().filter(|_| left < request.policy.required())
}

/// Refuses the signers that were revoked by a CA earlier, regardless of the current CRL.
fn recall(groups: &mut [Group<'_>], last: &LastAccepted) {
    for judgement in groups.iter_mut().flat_map(|group| &mut group.judgements) {
        let certificate = judgement.signer.digest();
        if let Some(revoked) = last.revoked.iter().find(|revoked| revoked.certificate == certificate) {
            judgement.outcome = Err(revoked.refusal());
        }
    }
}

/// The signers that a CA revoked: first those recorded earlier, then those found now.
fn revoked(parts: &[Vec<Group<'_>>], last: &LastAccepted, now: Timestamp) -> Vec<RevokedSigner> {
    let mut revoked = last.revoked.clone();
    let signed = parts.iter().flatten().filter(|group| signed_then(group, last));
    for judgement in signed.flat_map(|group| &group.judgements) {
        let Some(seen) = RevokedSigner::of(judgement, now) else { continue };
        if !revoked.iter().any(|known| known.certificate == seen.certificate) {
            revoked.push(seen);
        }
    }
    revoked
}

impl RevokedSigner {
    /// The record of a signer whose certificate, or that of a CA above it, was explicitly revoked by a CA.
    fn of(judgement: &Judgement<'_>, now: Timestamp) -> Option<Self> {
        let refusal = judgement.outcome.as_ref().err()?;
        let by_a_ca = refusal.is_statement() && refusal.reason == RefusalReason::CertificateRevoked;
        by_a_ca.then(|| Self {
            certificate: judgement.signer.digest(),
            subject: refusal.subject.clone().unwrap_or_default(),
            depth: refusal.depth.unwrap_or_default(),
            message: refusal.message.clone(),
            seen: now,
        })
    }

    /// The refusal, with the time at which the revocation was first seen.
    fn refusal(&self) -> Refusal {
        let message = format!("{}; seen first at {}", self.message, self.seen);
        Refusal::new(RefusalReason::CertificateRevoked, message).about(self.subject.clone(), self.depth).stated()
    }
}

fn other_bytes(found: Sha256Digest, last: &LastAccepted) -> Refusal {
    let message = format!("expected the stored list with the payload {}, found {found}", last.payload);
    Refusal::new(RefusalReason::MessageDigestMismatch, message)
}

fn other_list(found: &ImageId, last: &LastAccepted) -> Refusal {
    let message = format!("expected the stored list {}, found {found}", last.identifier);
    Refusal::new(RefusalReason::IdentifierMismatch, message)
}

/// Whether this signer is one of those that the list was accepted for.
fn signed_then(group: &Group<'_>, last: &LastAccepted) -> bool {
    let Some(judgement) = group.best() else { return false };
    let now = judgement.signer();
    // An OpenPGP key that is no longer available is recognised only by its digest.
    last.certificates.contains(&judgement.signer.digest())
        || last.signers.is_empty()
        || last.signers.iter().any(|then| then.subject == now.subject && then.issuer == now.issuer)
}

/// The refusal if an administrator revoked an OpenPGP key that is no longer available; the key may have been removed
/// when it was revoked. The recorded signers show which credential it is.
fn revoked_and_gone(group: &Group<'_>, last: &LastAccepted, request: &VerifyRequest<'_>) -> Option<Refusal> {
    let digest = group.best()?.signer.digest();
    let (then, _) = last.signers.iter().zip(&last.certificates).find(|(_, certificate)| **certificate == digest)?;
    let named: Fingerprint = then.subject.parse().ok()?;
    let is = |kind: &CredentialKind| matches!(kind, CredentialKind::OpenPgp(one) if one.fingerprint == named);
    let mut all =
        request.revoked.iter().chain(request.policy.endorsers().iter().flat_map(EndorserRule::revoked_credentials));
    let message = format!("an endorser calls the credential of {} revoked", then.subject);
    all.any(is)
        .then(|| Refusal::new(RefusalReason::EndorserNotTrusted, message).about(then.subject.as_str(), 0).stated())
}

/// An explicit revocation of a signer: by an administrator, or by a CA in one of the judgements.
fn statement(group: &Group<'_>, last: &LastAccepted, request: &VerifyRequest<'_>) -> Option<Refusal> {
    let by_a_person = group.judgements.iter().find_map(|judgement| judgement.revoked_by_a_person(request));
    let refusals = || group.judgements.iter().filter_map(|judgement| judgement.outcome.as_ref().err());
    by_a_person
        .or_else(|| refusals().find(|refusal| refusal.is_statement()).cloned())
        .or_else(|| revoked_and_gone(group, last, request))
}

/// The list as it was accepted, with the recorded signers.
fn remembered(
    payload: Payload,
    last: &LastAccepted,
    parts: &[Vec<Group<'_>>],
    required: usize,
    message: &[u8],
) -> AcceptedList {
    let best: Vec<Vec<_>> = parts.iter().map(|groups| groups.iter().filter_map(Group::best).collect()).collect();
    let verified = payload.verified(&best, required, message);
    let signers = if last.signers.is_empty() { verified.signers } else { last.signers.clone() };
    let certificates = if last.certificates.is_empty() { verified.certificates } else { last.certificates.clone() };
    let verified = VerifiedList { signers, certificates, ..verified };
    AcceptedList { verified, accepted: last.accepted, revoked: Vec::new() }
}
