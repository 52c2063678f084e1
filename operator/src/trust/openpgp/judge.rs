//! Whether the key that signed is valid. Revocations and self-signatures are checked up to now; expiry dates are
//! checked at the time that the caller gives.

use jiff::Timestamp;

use super::key::{Component, PublicKey};
use super::message::{Proven, Signer};
use super::statement::{Binding, Revocation};
use crate::trust::clock::SKEW;
use crate::trust::endorsement::Times;
use crate::trust::strength::Judged;
use crate::trust::weak_digest::{allowed, describe_digests};
use crate::trust::{
    AlgorithmPolicy, Check, CredentialKind, Fingerprint, KeyStrength, OpenPgpCredential, Refusal, RefusalReason, Rule,
};

/// The properties of a key or a subkey that are checked, without the library's types.
struct Part<'a> {
    name: String,
    depth: u32,
    is_subkey: bool,
    created: Timestamp,
    kind: &'a Result<Judged, String>,
    bindings: &'a [Binding],
    revocations: &'a [Revocation],
}

type Broken = (Rule, Refusal);

/// Checks the rules for a signature that was verified with a credential's key. Revocation is checked first, because it
/// is a statement of the owner and takes precedence over other failures. Returns the expiry of the key.
pub(in super::super) fn judge(
    signer: &Signer,
    credential: Option<&CredentialKind>,
    algorithms: AlgorithmPolicy,
    times: Times,
    checks: &mut Vec<Check>,
) -> Result<Option<Timestamp>, Broken> {
    let Some((proven, key)) = key_of(signer, credential)? else { return Ok(None) };
    let parts = parts(key, &proven.component);
    let at_revocation = |refusal| (Rule::KeyRevocation, refusal);
    for part in &parts {
        not_revoked(part, times.crls).map_err(at_revocation)?;
    }
    checks.push(Check::passed(Rule::KeyRevocation, "neither the key nor its binding is revoked"));
    let weak: Vec<_> = proven.weak_digest.into_iter().collect();
    allowed(&weak, algorithms, &signer.shown(), 0).map_err(|refusal| (Rule::Digest, refusal))?;
    let mut ends = Vec::new();
    for part in &parts {
        let statements = part.statements(times.crls).map_err(|refusal| (Rule::Key, refusal))?;
        let weak: Vec<_> = statements.iter().filter_map(|binding| binding.weak_digest).collect();
        allowed(&weak, algorithms, &part.name, part.depth).map_err(|refusal| (Rule::Digest, refusal))?;
        part.is_strong(algorithms.weakest_key).map_err(|refusal| (Rule::Strength, refusal))?;
        let end = part.is_good(&statements, times.path).map_err(|refusal| (Rule::Key, refusal))?;
        ends.extend(end);
    }
    checks.push(Check::passed(Rule::Digest, describe_digests(&weak)));
    in_time(proven, &parts[0], times.path).map_err(|refusal| (Rule::Key, refusal))?;
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    let end = ends.into_iter().min();
    let until = end.map_or_else(|| "without an end".to_owned(), |end| format!("until {end}"));
    checks.push(Check::passed(Rule::Key, format!("{}, good {until}", names.join(" ← "))));
    Ok(end)
}

impl PublicKey {
    /// The time until which this key, or the one subkey that the fingerprint names, can be used to sign; `None` if
    /// there is no expiry. The refusal is the reason why it cannot be used.
    pub fn good_until(&self, named: &Fingerprint, at: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let all = std::iter::once(self.fingerprint()).chain(self.subkeys.iter().map(|subkey| &subkey.fingerprint));
        let judged = all.filter(|one| named == self.fingerprint() || *one == named).map(|one| self.good(one, at));
        let mut refused = None;
        let mut good = Vec::new();
        for outcome in judged {
            match outcome {
                Ok(end) => good.push(end),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        match good.into_iter().max_by_key(|end| end.unwrap_or(Timestamp::MAX)) {
            Some(end) => Ok(end),
            None => Err(refused.unwrap_or_else(|| Refusal::new(RefusalReason::PurposeMismatch, "no such key"))),
        }
    }

    /// The time until which the key or the subkey of this fingerprint may sign.
    pub(super) fn good(&self, component: &Fingerprint, at: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let parts = parts(self, component);
        parts.iter().try_for_each(|part| not_revoked(part, at))?;
        parts.iter().try_for_each(|part| part.is_strong(KeyStrength::FLOOR))?;
        let ends = parts.iter().map(|part| part.is_good(&part.statements(at)?, at));
        Ok(ends.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().min())
    }
}

/// The credential's key that signed. `None` for a signer without a credential; the endorser rule refuses it.
fn key_of<'a>(
    signer: &'a Signer,
    credential: Option<&'a CredentialKind>,
) -> Result<Option<(&'a Proven, &'a PublicKey)>, Broken> {
    let at_endorser = |refusal| (Rule::Endorser, refusal);
    let credential = match credential {
        Some(CredentialKind::OpenPgp(credential)) => Some(credential),
        Some(CredentialKind::X509 { .. } | CredentialKind::Cosign(_)) | None => None,
    };
    if let Some(OpenPgpCredential { key: Err(why), .. }) = credential {
        return Err(at_endorser(signer.untrusted(format!("its public key is not here: {why}"))));
    }
    let Some(proven) = &signer.proven else {
        let found = signer.shown();
        let message = format!("expected a signature by a key that an endorser gives, found one by {found}");
        return Err(at_endorser(signer.untrusted(message)));
    };
    match credential {
        Some(OpenPgpCredential { key: Ok(key), .. }) if key.contains(&proven.component) => Ok(Some((proven, key))),
        Some(OpenPgpCredential { fingerprint, .. }) => {
            let message = format!("the public key {fingerprint} that is here does not have this subkey");
            Err(at_endorser(signer.untrusted(message)))
        }
        None => Ok(None),
    }
}

/// The key that signed, and for a subkey also its primary key.
fn parts<'a>(key: &'a PublicKey, component: &Fingerprint) -> Vec<Part<'a>> {
    let subkey = key.subkeys.iter().find(|subkey| subkey.fingerprint == *component);
    let subkey = subkey.map(|subkey| Part { is_subkey: true, ..Part::of(subkey, 0) });
    let depth = u32::from(subkey.is_some());
    subkey.into_iter().chain(std::iter::once(Part::of(&key.primary, depth))).collect()
}

/// A revocation is effective from its creation time. A hard revocation (the key was compromised, or no reason is given)
/// is effective for all times (RFC 9580 section 5.2.3.31).
fn not_revoked(part: &Part<'_>, now: Timestamp) -> Result<(), Refusal> {
    let effective = |revocation: &&Revocation| revocation.hard || revocation.created <= now;
    let refused = |message: String| part.refused(RefusalReason::CertificateRevoked, message);
    let found = part.revocations.iter().filter(effective).max_by_key(|found| (found.proved, found.hard));
    match found {
        None => {}
        Some(found) if !found.proved => {
            return Err(refused(
                "found a revocation by the key's designated revoker, whose own key is not here to prove it".to_owned(),
            ));
        }
        Some(found) => {
            let refusal =
                refused(format!("the OpenPGP key was revoked at {}, reason: {}", found.created, found.reason));
            return Err(if found.hard { refusal.stated() } else { refusal });
        }
    }
    let taken_back = |binding: &Binding| binding.revoked.is_some_and(|at| at <= now);
    if !part.bindings.is_empty() && part.bindings.iter().all(taken_back) {
        return Err(refused("the owner took back every signature that binds the key to a name".to_owned()));
    }
    Ok(())
}

/// Refuses a signature that was made in the future or before its key, or that has expired.
fn in_time(proven: &Proven, part: &Part<'_>, at: Timestamp) -> Result<(), Refusal> {
    let made = proven.created;
    if made < part.created {
        let message = format!("expected a signature by a key that exists, found one of {made}, before its key");
        return Err(part.refused(RefusalReason::SignatureInvalid, message));
    }
    if made.duration_since(at) > SKEW {
        let message = format!("expected a signature that is made already, found one of {made}");
        return Err(part.refused(RefusalReason::CertificateNotYetValid, message));
    }
    match proven.ends {
        Some(end) if end <= at => {
            let message = format!("expected an OpenPGP signature that is still valid, found one that ended at {end}");
            Err(part.refused(RefusalReason::CertificateExpired, message))
        }
        Some(_) | None => Ok(()),
    }
}

impl<'a> Part<'a> {
    fn of<K>(component: &'a Component<K>, depth: u32) -> Self {
        Self {
            name: component.fingerprint.as_name(),
            depth,
            is_subkey: false,
            created: component.created,
            kind: &component.kind,
            bindings: &component.bindings,
            revocations: &component.revocations,
        }
    }

    fn refused(&self, reason: RefusalReason, message: impl Into<String>) -> Refusal {
        Refusal::new(reason, message).about(self.name.clone(), self.depth)
    }

    /// The valid self-signatures; see [`in_force`].
    fn statements(&self, now: Timestamp) -> Result<Vec<&'a Binding>, Refusal> {
        let found = in_force(self.bindings, now);
        if found.is_empty() {
            let message = "expected a self-signature of the key that is in force, found none";
            return Err(self.refused(RefusalReason::PurposeMismatch, message));
        }
        Ok(found)
    }

    /// Whether the key has a supported algorithm and is strong enough. The minimum strength is never below the floor.
    fn is_strong(&self, least: KeyStrength) -> Result<(), Refusal> {
        match self.kind {
            Ok(judged) => judged
                .reaches(least.max(KeyStrength::FLOOR))
                .map_err(|message| self.refused(RefusalReason::KeyTooWeak, message)),
            Err(other) => {
                let message = format!("expected RSA, ECDSA or EdDSA, found {other}");
                Err(self.refused(RefusalReason::PurposeMismatch, message))
            }
        }
    }

    /// Whether the key is valid at a time. Returns its expiry.
    fn is_good(&self, statements: &[&Binding], at: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        if self.depth == 0 && !may_sign(statements) {
            return Err(self.refused(RefusalReason::PurposeMismatch, "expected a key that may sign, found another one"));
        }
        // A subkey must have signed its binding, because another primary key could bind a subkey that is not its own.
        if self.depth == 0 && self.is_subkey && !statements.iter().all(|binding| binding.signed_back) {
            let message = "expected the subkey's own signature in its binding (RFC 9580 section 5.2.1.9), found none";
            return Err(self.refused(RefusalReason::PurposeMismatch, message));
        }
        if self.created.duration_since(at) > SKEW {
            let message = format!("expected a key that exists already, found one made at {}", self.created);
            return Err(self.refused(RefusalReason::CertificateNotYetValid, message));
        }
        let end = key_ends(statements);
        match end {
            Some(end) if end <= at => {
                let message = format!("expected an OpenPGP key that is still valid, found one that ended at {end}");
                Err(self.refused(RefusalReason::CertificateExpired, message))
            }
            Some(_) | None => Ok(end),
        }
    }
}

/// Of the self-signatures that are valid at a time, the newest one on the key itself and the newest one on a user ID.
/// `bindings` are sorted from the newest to the oldest.
fn in_force(bindings: &[Binding], now: Timestamp) -> Vec<&Binding> {
    let stands = |binding: &&Binding| {
        let begun = binding.created.duration_since(now) <= SKEW;
        begun && binding.ends.is_none_or(|end| end > now) && binding.revoked.is_none_or(|at| at > now)
    };
    let newest = |direct| bindings.iter().filter(stands).find(|binding| binding.direct == direct);
    newest(true).into_iter().chain(newest(false)).collect()
}

/// A key may sign if at least one self-signature has key flags, and all key flags allow it.
fn may_sign(statements: &[&Binding]) -> bool {
    let said: Vec<bool> = statements.iter().filter_map(|binding| binding.may_sign).collect();
    !said.is_empty() && said.into_iter().all(|may| may)
}

/// The earliest expiry in the self-signatures.
fn key_ends(statements: &[&Binding]) -> Option<Timestamp> {
    statements.iter().filter_map(|binding| binding.key_ends).min()
}
