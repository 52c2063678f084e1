//! How an endorser stands. Pure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::crls::crls_fresh;
use crate::api::{CredentialStatus, Endorser, EndorserStatus, ImageListSubscription, SignerStatus};
use crate::reconcile::conditions::{Finding, merge, shorten, time};
use crate::reconcile::report::Report;
use crate::trust::{Anchors, Credential, CredentialKind, EndorserRule, TrustLevel};

/// A credential's certificate that ends sooner than this is told.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The report of an endorser: what its names were understood as, and when its certificates were last seen.
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
            .map(|credential| credential_status(rule, credential, &before, subscriptions))
            .collect(),
    };
    let (crls, next) = match anchors {
        Ok(anchors) => crls_fresh(rule, anchors, now),
        Err(_) => (Finding::unknown("CRLsFresh", "TrustAnchorsNotFound", "its trust anchors cannot be read"), None),
    };
    let mut findings = vec![ready(rule, anchors), crls];
    findings.extend(expiring(&status, now));
    status.conditions = merge(&before.conditions, findings, generation, now);
    Report { wake: wake(&status, now).into_iter().chain(next).min(), status, happenings: Vec::new() }
}

fn ready(rule: &EndorserRule, anchors: Result<&Anchors, &String>) -> Finding {
    const NAME: &str = "Ready";
    let anchors = match anchors {
        Ok(anchors) => anchors.count(),
        Err(error) => return Finding::fails(NAME, "TrustAnchorsNotFound", error.clone()),
    };
    match rule.trust {
        TrustLevel::Revoked => Finding::fails(NAME, "Revoked", "what it signed goes out"),
        TrustLevel::Hold => Finding::fails(NAME, "Hold", "no new list is accepted from it; what is in force stays"),
        TrustLevel::Trusted if anchors == 0 => Finding::fails(
            NAME,
            "NoTrustAnchors",
            "expected certificate authorities in the trust directory, found none",
        ),
        TrustLevel::Trusted if rule.credentials.iter().all(|one| one.trust != TrustLevel::Trusted) => {
            Finding::fails(NAME, "NoCredential", "none of its credentials is Trusted")
        }
        TrustLevel::Trusted => Finding::holds(NAME, "Succeeded", format!("{anchors} trust anchors are loaded")),
    }
}

fn credential_status(
    rule: &EndorserRule,
    credential: &Credential,
    before: &EndorserStatus,
    subscriptions: &[Arc<ImageListSubscription>],
) -> CredentialStatus {
    let CredentialKind::X509 { subject, issuer, purpose: _ } = &credential.kind;
    let seen = subscriptions
        .iter()
        .filter_map(|subscription| subscription.status.as_ref()?.list.as_ref())
        .flat_map(|list| list.signers.iter().map(move |signer| (signer, list.accepted_time.clone())))
        .filter(|(signer, _)| is_of(signer, &rule.name, &credential.name))
        .max_by_key(|(_, accepted)| accepted.0);
    let remembered = before.credentials.iter().find(|old| old.name == credential.name);
    CredentialStatus {
        name: credential.name.clone(),
        subject: shorten(&subject.to_string(), 2048),
        issuer: shorten(&issuer.as_ref().map(ToString::to_string).unwrap_or_default(), 2048),
        not_after: seen
            .as_ref()
            .map(|(signer, _)| signer.not_after.clone())
            .or_else(|| remembered.and_then(|old| old.not_after.clone())),
        last_seen_time: seen
            .map(|(_, accepted)| time(accepted.0))
            .or_else(|| remembered.and_then(|old| old.last_seen_time.clone())),
    }
}

fn is_of(signer: &SignerStatus, endorser: &str, credential: &str) -> bool {
    signer.endorser == endorser && signer.credential == credential
}

fn expiring(status: &EndorserStatus, now: Timestamp) -> Option<Finding> {
    let ends = |credential: &&CredentialStatus| {
        credential.not_after.as_ref().is_some_and(|end| end.0.duration_since(now) < EXPIRES_SOON)
    };
    let soon: Vec<String> = status
        .credentials
        .iter()
        .filter(ends)
        .filter_map(|credential| Some(format!("{} ends {}", credential.name, credential.not_after.as_ref()?.0)))
        .collect();
    (!soon.is_empty()).then(|| Finding::holds("CredentialExpiring", "CredentialExpiring", soon.join("; ")))
}

/// When the next credential comes to its last 30 days.
fn wake(status: &EndorserStatus, now: Timestamp) -> Option<Timestamp> {
    let ends = status.credentials.iter().filter_map(|credential| credential.not_after.as_ref());
    ends.filter_map(|end| end.0.checked_sub(EXPIRES_SOON).ok()).filter(|at| *at > now).min()
}
