//! The report of an endorser. Pure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::crls::crls_fresh;
use crate::api::{CredentialStatus, Endorser, EndorserStatus, ImageListSubscription, SignerStatus, time};
use crate::reconcile::conditions::{Finding, merge, shorten};
use crate::reconcile::report::Report;
use crate::size::Count;
use crate::trust::{Anchors, Credential, CredentialKind, EndorserRule, OpenPgpCredential, TrustLevel};

/// A certificate that ends within this time is reported.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The report of an endorser: how its names were parsed, and when its certificates were last seen.
pub(super) fn report(
    object: &Endorser,
    rule: &EndorserRule,
    subscriptions: &[Arc<ImageListSubscription>],
    anchors: Result<&Anchors, &String>,
    now: Timestamp,
) -> Report<EndorserStatus> {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let users = subscriptions.iter().filter(|subscription| {
        subscription.spec.verify.endorser_refs.iter().any(|reference| reference.name == rule.name)
    });
    let mut status = EndorserStatus {
        observed_generation: generation,
        conditions: Vec::new(),
        subscriptions: i32::try_from(users.count()).unwrap_or(i32::MAX),
        credentials: rule
            .credentials
            .iter()
            .map(|credential| credential_status(rule, credential, &before, subscriptions, now))
            .collect(),
    };
    let (crls, next) = match anchors {
        Ok(anchors) => crls_fresh(rule, anchors, now),
        Err(_) => (Finding::unknown("CRLsFresh", "TrustAnchorsNotFound", "its trust anchors cannot be read"), None),
    };
    let mut findings = vec![ready(rule, anchors, now), crls];
    findings.extend(expiring(&status, now));
    status.conditions = merge(&before.conditions, findings, generation, now);
    Report { requeue_at: requeue_at(&status, now).into_iter().chain(next).min(), status, events: Vec::new() }
}

fn ready(rule: &EndorserRule, anchors: Result<&Anchors, &String>, now: Timestamp) -> Finding {
    const NAME: &str = "Ready";
    let anchors = match anchors {
        Ok(anchors) => anchors.count(),
        Err(error) => return Finding::fails(NAME, "TrustAnchorsNotFound", error.clone()),
    };
    match rule.trust {
        TrustLevel::Revoked => return Finding::fails(NAME, "Revoked", "what it signed goes out"),
        TrustLevel::Hold => {
            return Finding::fails(NAME, "Hold", "no new list is accepted from it; what is in force stays");
        }
        TrustLevel::Trusted => {}
    }
    let trusted: Vec<_> = rule.credentials.iter().filter(|one| one.trust == TrustLevel::Trusted).collect();
    let certificates = rule.credentials.iter().filter(|one| matches!(one.kind, CredentialKind::X509 { .. })).count();
    if certificates > 0 && anchors == 0 {
        let message = "expected certificate authorities in the trust directory, found none";
        return Finding::fails(NAME, "NoTrustAnchors", message);
    }
    if trusted.is_empty() {
        return Finding::fails(NAME, "NoCredential", "none of its credentials is Trusted");
    }
    let useless: Vec<_> = trusted.iter().filter_map(|credential| useless(credential, now)).collect();
    let told = useless.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("; ");
    match useless.first() {
        Some((reason, _)) if useless.len() == trusted.len() => Finding::fails(NAME, *reason, told),
        Some(_) => Finding::holds(NAME, "Succeeded", format!("but {told}")),
        None if certificates == 0 => Finding::holds(NAME, "Succeeded", "its keys can be used"),
        None => Finding::holds(NAME, "Succeeded", format!("{} loaded", Count(anchors, "trust anchor"))),
    }
}

fn credential_status(
    rule: &EndorserRule,
    credential: &Credential,
    before: &EndorserStatus,
    subscriptions: &[Arc<ImageListSubscription>],
    now: Timestamp,
) -> CredentialStatus {
    let seen = subscriptions
        .iter()
        .filter_map(|subscription| subscription.status.as_ref()?.list.as_ref())
        .flat_map(|list| list.signers.iter().map(move |signer| (signer, list.accepted_time.clone())))
        .filter(|(signer, _)| is_of(signer, &rule.name, &credential.name))
        .max_by_key(|(_, accepted)| accepted.0);
    let remembered = before.credentials.iter().find(|old| old.name == credential.name);
    let end_seen = seen.as_ref().map(|(signer, _)| signer.not_after.clone());
    let (subject, issuer, fingerprint, not_after) = match &credential.kind {
        CredentialKind::X509 { subject, issuer, purpose: _ } => {
            let end = end_seen.or_else(|| remembered.map(|old| old.not_after.clone())).flatten();
            (subject.to_string(), issuer.as_ref().map(ToString::to_string), None, end)
        }
        CredentialKind::OpenPgp(OpenPgpCredential { fingerprint, key }) => {
            let user = key.as_ref().map(|key| key.user().to_owned()).unwrap_or_default();
            let good = key.as_ref().ok().and_then(|key| key.good_until(fingerprint, now).ok());
            (user, None, Some(fingerprint.to_string()), good.flatten().map(time))
        }
        CredentialKind::Cosign(key) => (key.as_name(), None, Some(key.fingerprint()), None),
    };
    CredentialStatus {
        name: credential.name.clone(),
        subject: shorten(&subject, 2048),
        issuer: shorten(&issuer.unwrap_or_default(), 2048),
        fingerprint,
        not_after,
        last_seen_time: seen
            .map(|(_, accepted)| time(accepted.0))
            .or_else(|| remembered.and_then(|old| old.last_seen_time.clone())),
    }
}

/// Why a trusted OpenPGP key cannot sign anything now; `None` if it can, or for a certificate.
fn useless(credential: &Credential, now: Timestamp) -> Option<(&'static str, String)> {
    let CredentialKind::OpenPgp(OpenPgpCredential { fingerprint, key }) = &credential.kind else { return None };
    let name = &credential.name;
    match key.as_ref().map(|key| key.good_until(fingerprint, now)) {
        Ok(Ok(_)) => None,
        Ok(Err(refusal)) => Some((refusal.reason(), format!("{name}: {}", refusal.message))),
        Err(why) => Some(("PublicKeyNotFound", format!("{name}: {why}"))),
    }
}

fn is_of(signer: &SignerStatus, endorser: &str, credential: &str) -> bool {
    signer.endorser == endorser && signer.credential == credential
}

/// Whether a credential that ends then has less than 30 days left, so that its endorser is `CredentialExpiring`.
pub fn ends_soon(end: Timestamp, now: Timestamp) -> bool {
    end.duration_since(now) < EXPIRES_SOON
}

fn expiring(status: &EndorserStatus, now: Timestamp) -> Option<Finding> {
    let ends = |credential: &&CredentialStatus| credential.not_after.as_ref().is_some_and(|end| ends_soon(end.0, now));
    let soon: Vec<String> = status
        .credentials
        .iter()
        .filter(ends)
        .filter_map(|credential| Some(format!("{} ends {}", credential.name, credential.not_after.as_ref()?.0)))
        .collect();
    (!soon.is_empty()).then(|| Finding::holds("CredentialExpiring", "CredentialExpiring", soon.join("; ")))
}

/// When the next credential has 30 days left.
fn requeue_at(status: &EndorserStatus, now: Timestamp) -> Option<Timestamp> {
    let ends = status.credentials.iter().filter_map(|credential| credential.not_after.as_ref());
    ends.filter_map(|end| end.0.checked_sub(EXPIRES_SOON).ok()).filter(|at| *at > now).min()
}
