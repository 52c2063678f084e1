//! Verifies the signatures that are part of a public key: self-signatures, bindings of subkeys, and revocations (RFC
//! 9580 sections 5.2.1 and 10.1).

use std::cell::Cell;

use jiff::Timestamp;
use pgp::packet::{PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType};
use pgp::types::{KeyDetails, KeyId, Tag};

use super::keyring::{Certificate, Keyring};
use super::{Fingerprint, KeyError, facts};

/// The maximum number of signatures of one key that are verified.
const MOST_PROOFS: usize = 2_000;

/// A self-signature: a direct signature, one on a user ID, or one on a subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) created: Timestamp,
    /// When the signature expires.
    pub(super) ends: Option<Timestamp>,
    /// When the owner revoked it.
    pub(super) revoked: Option<Timestamp>,
    pub(super) weak_digest: Option<&'static str>,
    /// Whether it is on a key rather than on a user ID.
    pub(super) direct: bool,
    /// Whether the key may sign texts; `None` if it has no key flags.
    pub(super) may_sign: Option<bool>,
    /// Whether a subkey that may sign has signed its binding to the primary key.
    pub(super) signed_back: bool,
    /// When the key expires.
    pub(super) key_ends: Option<Timestamp>,
}

/// A revocation of a key or a subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revocation {
    pub(super) created: Timestamp,
    /// Whether the key may have been misused, in contrast to a key that is only out of use (RFC 9580 section 5.2.3.31).
    pub(super) hard: bool,
    /// The reason, for messages.
    pub(super) reason: &'static str,
    /// Whether it was verified. A revocation by a designated revoker cannot be verified if the revoker's key is not
    /// available.
    pub(super) proved: bool,
}

type Statements = (Vec<Binding>, Vec<Revocation>);

/// Verifies the signatures of one key.
pub(super) struct Prover<'a> {
    certificate: &'a Certificate,
    ring: &'a Keyring,
    proofs: Cell<usize>,
}

impl<'a> Prover<'a> {
    pub(super) fn new(certificate: &'a Certificate, ring: &'a Keyring) -> Self {
        Self { certificate, ring, proofs: Cell::new(0) }
    }

    /// The verified self-signatures and revocations of the primary key.
    pub(super) fn primary(&self) -> Result<Statements, KeyError> {
        let primary = &self.certificate.primary;
        let mut bindings = Vec::new();
        for signature in of_kind(&self.certificate.direct, SignatureType::Key) {
            if self.proves(signature, |signature| signature.verify_key(primary).is_ok())? {
                bindings.extend(binding(signature, facts::timestamp(primary.created_at()), true));
            }
        }
        for (user, signatures) in &self.certificate.users {
            if let Some(id) = user {
                bindings.extend(self.of_user(id, signatures)?);
            }
        }
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.created));
        let direct = self.certificate.direct.iter().chain(&self.ring.revocations);
        let mut revocations = Vec::new();
        for signature in direct.filter(|signature| signature.typ() == Some(SignatureType::KeyRevocation)) {
            let by_owner = self.proves(signature, |signature| signature.verify_key(primary).is_ok())?;
            let proved = if by_owner { Some(true) } else { self.by_revoker(signature, Some(primary))? };
            revocations.extend(proved.map(|proved| revocation(signature, proved)));
        }
        Ok((bindings, revocations))
    }

    /// The verified bindings and revocations of a subkey.
    pub(super) fn subkey(&self, key: &PublicSubkey, signatures: &[Signature]) -> Result<Statements, KeyError> {
        let primary = &self.certificate.primary;
        let verified = |signature: &Signature| signature.verify_subkey_binding(primary, key).is_ok();
        let mut bindings = Vec::new();
        for signature in of_kind(signatures, SignatureType::SubkeyBinding) {
            if self.proves(signature, verified)? {
                let binding = binding(signature, facts::timestamp(key.created_at()), true);
                bindings.extend(binding.map(|binding| self.with_back_signature(binding, signature, key)));
            }
        }
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.created));
        let mut revocations = Vec::new();
        for signature in of_kind(signatures, SignatureType::SubkeyRevocation) {
            let by_owner = self.proves(signature, verified)?;
            let proved = if by_owner { Some(true) } else { self.by_revoker(signature, None)? };
            revocations.extend(proved.map(|proved| revocation(signature, proved)));
        }
        Ok((bindings, revocations))
    }

    /// The owner's signatures on a user ID, each with the time of its revocation.
    fn of_user(&self, id: &pgp::packet::UserId, signatures: &[Signature]) -> Result<Vec<Binding>, KeyError> {
        let primary = &self.certificate.primary;
        let (mut bindings, mut taken_back) = (Vec::new(), Vec::new());
        for signature in signatures.iter().filter(|signature| signature.is_certification()) {
            if !self.proves(signature, |one| one.verify_certification(primary, Tag::UserId, id).is_ok())? {
                continue;
            }
            if signature.typ() == Some(SignatureType::CertRevocation) {
                taken_back.extend(signature.created().map(facts::timestamp));
            } else {
                bindings.extend(binding(signature, facts::timestamp(primary.created_at()), false));
            }
        }
        for binding in &mut bindings {
            binding.revoked = taken_back.iter().copied().filter(|at| *at >= binding.created).min();
        }
        Ok(bindings)
    }

    /// Whether the owner made a signature. Signatures of others are not verified.
    fn proves(&self, signature: &Signature, verified: impl Fn(&Signature) -> bool) -> Result<bool, KeyError> {
        let primary = &self.certificate.primary;
        if !is_by(signature, &Fingerprint::of(&primary.fingerprint()), primary.legacy_key_id()) {
            return Ok(false);
        }
        self.proofs.set(self.proofs.get() + 1);
        if self.proofs.get() > MOST_PROOFS {
            return Err(KeyError::Unreadable { found: format!("more than {MOST_PROOFS} signatures of one key") });
        }
        Ok(verified(signature))
    }

    /// Whether a revocation is by a designated revoker. `None` if it is not. `Some(false)` if it cannot be verified,
    /// because the revoker's key is not available, or because it is on a subkey (`signee` is `None`).
    fn by_revoker(&self, signature: &Signature, signee: Option<&PublicKey>) -> Result<Option<bool>, KeyError> {
        let names = |revoker: &Vec<u8>| {
            let by_fingerprint = signature.issuer_fingerprint().iter().any(|issuer| issuer.as_bytes() == revoker);
            by_fingerprint || signature.issuer_key_id().iter().any(|id| revoker.ends_with(id.as_ref()))
        };
        let Some(revoker) = self.revokers()?.into_iter().find(names) else { return Ok(None) };
        let key = self.ring.certificates.iter().find(|other| other.primary.fingerprint().as_bytes() == revoker);
        Ok(match (key, signee) {
            (Some(key), Some(signee)) => signature.verify_key_third_party(signee, &key.primary).is_ok().then_some(true),
            (None, _) | (_, None) => Some(false),
        })
    }

    /// The designated revokers, as the bytes of their fingerprints.
    fn revokers(&self) -> Result<Vec<Vec<u8>>, KeyError> {
        let primary = &self.certificate.primary;
        let mut found = Vec::new();
        for signature in of_kind(&self.certificate.direct, SignatureType::Key) {
            let revokers = facts::revokers(signature);
            if !revokers.is_empty() && self.proves(signature, |signature| signature.verify_key(primary).is_ok())? {
                found.extend(revokers);
            }
        }
        Ok(found)
    }

    /// Adds the result of the primary key binding signature. A subkey that may sign must have signed its binding,
    /// because otherwise anybody's subkey could be bound.
    fn with_back_signature(&self, binding: Binding, signature: &Signature, key: &PublicSubkey) -> Binding {
        let embedded = signature.embedded_signature().filter(|_| binding.may_sign == Some(true));
        let proved = embedded.filter(|one| one.verify_primary_key_binding(key, &self.certificate.primary).is_ok());
        let Some((back, Ok((_, ends)))) = proved.map(|back| (back, facts::times(back))) else { return binding };
        Binding {
            signed_back: true,
            weak_digest: binding.weak_digest.or(back.hash_alg().and_then(facts::weak_digest)),
            ends: binding.ends.into_iter().chain(ends).min(),
            ..binding
        }
    }
}

/// The fields of a verified signature.
fn binding(signature: &Signature, key_created: Timestamp, direct: bool) -> Option<Binding> {
    let (created, ends) = facts::times(signature).ok()?;
    Some(Binding {
        created,
        ends,
        revoked: None,
        weak_digest: signature.hash_alg().and_then(facts::weak_digest),
        direct,
        may_sign: facts::may_sign(signature),
        signed_back: false,
        key_ends: facts::after(key_created, signature.key_expiration_time()),
    })
}

fn of_kind(signatures: &[Signature], kind: SignatureType) -> impl Iterator<Item = &Signature> {
    signatures.iter().filter(move |signature| signature.typ() == Some(kind))
}

/// Whether a signature names this key as its issuer, or names no issuer.
pub(super) fn is_by(signature: &Signature, fingerprint: &Fingerprint, id: KeyId) -> bool {
    let (fingerprints, ids) = (signature.issuer_fingerprint(), signature.issuer_key_id());
    let unsaid = fingerprints.is_empty() && ids.is_empty();
    unsaid || fingerprints.iter().any(|issuer| fingerprint.is(issuer)) || ids.contains(&&id)
}

/// The fields of a revocation. A revocation without a reason is treated as a compromise. It counts even if its digest
/// is weak.
fn revocation(signature: &Signature, proved: bool) -> Revocation {
    let (hard, reason) = match signature.revocation_reason_code() {
        Some(RevocationCode::KeySuperseded) => (false, "superseded"),
        Some(RevocationCode::KeyRetired) => (false, "retired"),
        Some(RevocationCode::KeyCompromised) => (true, "compromised"),
        Some(RevocationCode::NoReason) | None => (true, "none given"),
        Some(_) => (true, "another"),
    };
    let created = signature.created().map_or(Timestamp::MIN, facts::timestamp);
    Revocation { created, hard, reason, proved }
}
