//! The report of a pass: status, events, and the time of the next pass. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use url::Url;

use super::apply::Outcomes;
use super::check::Checked;
use super::events::{events, failed_before, fetch_problem, signed_by};
use super::fetched::Fetched;
use super::observe::Observed;
use super::plan::{Newest, Plan};
use super::removal::REMOVAL_BLOCKED;
use super::schedule::{FetchFailure, next_fetch};
use crate::api::{CandidateStatus, Class, ImageListSubscriptionStatus, ListStatus, SignerStatus, time};
use crate::reconcile::conditions::{DOUBTED, Finding, merge, message, request_ignored, shorten};
use crate::reconcile::exchange::{Force, ListInForce};
use crate::reconcile::report::Report;
use crate::reconcile::step::StepError;
use crate::size::Count;
use crate::trust::{Refusal, RefusalReason};

/// The report of a pass.
pub(super) fn report(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    now: Timestamp,
) -> Report<ImageListSubscriptionStatus> {
    let before = &observed.status;
    // A list that could not be stored is not in force: the list in the status stays as it was.
    let list = plan.list.as_ref().filter(|_| outcomes.import.is_none());
    let mut status = ImageListSubscriptionStatus {
        observed_generation: checked.generation,
        conditions: Vec::new(),
        list: list.map_or_else(|| before.list.clone(), |list| Some(list_status(list))),
        candidate: candidate(plan),
        images: list.map(|_| plan.children.counts.clone()),
        notes: plan.children.notes.clone(),
        last_handled_reconcile_at: handled(checked, before),
        ..before.clone()
    };
    fetch_times(&mut status, checked, observed, now);
    let findings = findings(checked, observed, plan, outcomes, list);
    status.conditions = merge(&before.conditions, findings, checked.generation, now);
    let requeue_at = requeue_at(checked, &status, list, now);
    Report { events: events(checked, observed, plan, outcomes), status, requeue_at }
}

/// A suspended object handles no request, so the request is still open when the object is resumed.
fn handled(checked: &Checked, before: &ImageListSubscriptionStatus) -> Option<String> {
    if checked.suspend { before.last_handled_reconcile_at.clone() } else { checked.requested_at.clone() }
}

fn fetch_times(status: &mut ImageListSubscriptionStatus, checked: &Checked, observed: &Observed, now: Timestamp) {
    let failure = match &observed.fetched {
        Fetched::NotAsked => return,
        Fetched::NotModified | Fetched::Message(_) => {
            status.last_successful_fetch_time = Some(time(now));
            None
        }
        Fetched::Failed(problem) => {
            let count = observed.status.fetch_failures.unwrap_or(0).saturating_add(1);
            Some(FetchFailure { count, retry_after: problem.retry_after })
        }
    };
    status.fetch_failures = failure.map(|failure| failure.count);
    status.last_fetch_time = Some(time(now));
    status.next_fetch_time = Some(time(next_fetch(checked, now, failure)));
}

fn list_status(list: &ListInForce) -> ListStatus {
    let accepted = &list.accepted;
    let document = accepted.list();
    ListStatus {
        identifier: document.identifier.to_string(),
        version: document.version.to_string(),
        digest: accepted.message_digest().to_string(),
        created: time(document.created),
        expires: time(list.expires),
        accepted_time: time(accepted.accepted_time()),
        vo: document.vo.as_deref().map(|vo| shorten(vo, 256)),
        title: shorten(&document.title, 256),
        signers: accepted.signers().iter().map(signer_status).collect(),
    }
}

fn signer_status(signer: &crate::trust::Signer) -> SignerStatus {
    SignerStatus {
        endorser: signer.endorser.clone().unwrap_or_default(),
        credential: signer.credential.clone().unwrap_or_default(),
        subject: shorten(&signer.subject, 2048),
        issuer: shorten(&signer.issuer, 2048),
        not_after: signer.not_after.map(time),
    }
}

fn candidate(plan: &Plan) -> Option<CandidateStatus> {
    match &plan.newest {
        Newest::NotSeen | Newest::InForce | Newest::NotJudged => None,
        Newest::Refused { digest, refusal, list } => Some(CandidateStatus {
            digest: digest.to_string(),
            reason: refusal.reason().to_owned(),
            message: message(&refusal.message, 1024),
            version: list.as_ref().map(|(version, _)| version.to_string()),
            created: list.as_ref().map(|(_, created)| time(*created)),
            adds: None,
            removes: None,
        }),
        Newest::Blocked(blocked) => Some(CandidateStatus {
            digest: blocked.digest.to_string(),
            reason: REMOVAL_BLOCKED.to_owned(),
            message: blocked.message(),
            version: Some(blocked.version.to_string()),
            created: Some(time(blocked.created)),
            adds: u32::try_from(blocked.adds).ok(),
            removes: u32::try_from(blocked.removes).ok(),
        }),
    }
}

fn findings(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    list: Option<&ListInForce>,
) -> Vec<Finding> {
    let verified = source_verified(observed, plan, list);
    let blocked = match &plan.newest {
        Newest::Blocked(blocked) => Some(Finding::holds(REMOVAL_BLOCKED, REMOVAL_BLOCKED, blocked.message())),
        Newest::NotSeen | Newest::InForce | Newest::NotJudged | Newest::Refused { .. } => None,
    };
    let ready = ready(checked, observed, outcomes, list, &verified, blocked.as_ref());
    let images = images_ready(plan, list);
    let mut findings = vec![ready, verified, images];
    findings.extend(blocked);
    findings
        .extend(plan.doubt.as_ref().map(|doubt| Finding::holds(DOUBTED, DOUBTED, format!("{doubt}; nothing expires"))));
    if let Fetched::Failed(problem) = &observed.fetched {
        findings.push(Finding::holds("FetchFailed", problem.reason, &problem.message));
    } else if let (Fetched::NotAsked, Some(last)) = (&observed.fetched, failed_before(observed)) {
        findings.push(last);
    }
    findings.extend(ignored(checked, &observed.status));
    findings.extend(progress(checked, observed, outcomes, &findings));
    findings
}

/// The condition of a request that waits until the object is resumed.
fn ignored(checked: &Checked, before: &ImageListSubscriptionStatus) -> Option<Finding> {
    let request = checked.requested_at.as_deref().filter(|_| checked.suspend)?;
    (before.last_handled_reconcile_at.as_deref() != Some(request)).then(|| request_ignored(request))
}

fn source_verified(observed: &Observed, plan: &Plan, list: Option<&ListInForce>) -> Finding {
    const NAME: &str = "SourceVerified";
    if let Newest::Refused { refusal, .. } = &plan.newest {
        return Finding::fails(NAME, reason(refusal), &refusal.message);
    }
    if let Some(Force::Withdrawn { reason, message }) = list.map(|list| &list.force) {
        return Finding::fails(NAME, *reason, message);
    }
    if observed.rules.is_empty() && !observed.unusable.is_empty() {
        return Finding::fails(NAME, "EndorserNotFound", observed.unusable.join("; "));
    }
    if let Some(refusal) = &plan.frozen {
        let message = format!("{}; what is in force stays, nothing new is accepted", refusal.message);
        return Finding::fails(NAME, refusal.reason(), message);
    }
    match list {
        Some(list) => Finding::holds(NAME, "Verified", format!("{}{}", signed_by(list), elsewhere(list))),
        None => Finding::unknown(NAME, "NotSeen", "no list was fetched yet"),
    }
}

/// The revocation of a signer by a user has its own reason.
fn reason(refusal: &Refusal) -> &'static str {
    match refusal.reason {
        RefusalReason::EndorserNotTrusted if refusal.is_statement() => "EndorserRevoked",
        other => other.as_str(),
    }
}

/// A note if the list's own address (`hv:uri`) differs from the subscription's. The subscription's address is never
/// changed automatically. User information and the query are ignored, and so are a list that is read from a file and a repository,
/// which has no address of its own.
fn elsewhere(list: &ListInForce) -> String {
    let (asked, said) = (&list.source.url, &list.accepted.list().uri);
    if !asked.is_remote() || list.source.registry.is_some() {
        return String::new();
    }
    let Ok(mut said) = said.parse::<Url>() else {
        return "; it gives no address (hv:uri) that can be asked".to_owned();
    };
    if (said.host_str(), said.path()) == (asked.url().host_str(), asked.url().path()) {
        return String::new();
    }
    // An address may contain a secret, as some servers issue them. Setting user information fails only for an address
    // that cannot have any.
    let _ = (said.set_username(""), said.set_password(None));
    said.set_query(None);
    format!("; it says that its address (hv:uri) is {}", shorten(said.as_str(), 256))
}

fn ready(
    checked: &Checked,
    observed: &Observed,
    outcomes: &Outcomes,
    list: Option<&ListInForce>,
    verified: &Finding,
    blocked: Option<&Finding>,
) -> Finding {
    const NAME: &str = "Ready";
    if checked.deleting {
        return Finding::fails(NAME, "Deleting", "the images are let go, then this object");
    }
    if let Some(failed) = outcomes.import.as_ref().or(outcomes.others.first()) {
        return Finding::fails(NAME, failed.reason(), failed.to_string());
    }
    if let Some(trouble) = observed.trouble.as_ref().filter(|_| list.is_none()) {
        return Finding::fails(NAME, trouble.reason(), trouble.to_string());
    }
    let Some(list) = list else { return without_a_list(observed, verified) };
    if let (Some(blocked), Force::InForce) = (blocked, &list.force) {
        return Finding { name: NAME, status: crate::reconcile::conditions::Status::False, ..blocked.clone() };
    }
    match (&list.force, verified.status) {
        (Force::Withdrawn { reason, message }, _) => Finding::fails(NAME, *reason, message),
        (Force::Expired, _) => {
            let message = format!("list {} expired at {}", list.accepted.list().version, list.expires);
            Finding::fails(NAME, "ListExpired", message)
        }
        (Force::InForce, crate::reconcile::conditions::Status::True) => {
            Finding::holds(NAME, "Succeeded", format!("{}, in force until {}", signed_by(list), list.expires))
        }
        (Force::InForce, _) => Finding { name: NAME, ..verified.clone() },
    }
}

fn without_a_list(observed: &Observed, verified: &Finding) -> Finding {
    match (&observed.fetched, failed_before(observed)) {
        (Fetched::Failed(problem), _) => Finding::fails("Ready", problem.reason, &problem.message),
        (Fetched::NotAsked, Some(failed)) => Finding::fails("Ready", failed.reason, failed.message),
        (Fetched::NotAsked | Fetched::NotModified | Fetched::Message(_), _) => {
            let status = crate::reconcile::conditions::Status::False;
            Finding { name: "Ready", status, ..verified.clone() }
        }
    }
}

fn images_ready(plan: &Plan, list: Option<&ListInForce>) -> Finding {
    const NAME: &str = "ImagesReady";
    let counts = &plan.children.counts;
    let selected = Count(counts.selected.try_into().unwrap_or(usize::MAX), "selected image");
    let told = format!("{} of {selected} ready", counts.ready);
    match list {
        None => Finding::unknown(NAME, "NoList", "no list is in force"),
        Some(_) if counts.selected == 0 => Finding::holds(NAME, "NothingSelected", "the selection takes no image"),
        Some(_) if counts.ready >= counts.selected => Finding::holds(NAME, "Succeeded", told),
        Some(_) => Finding::fails(NAME, "ImagesNotReady", told),
    }
}

/// Reconciling or Stalled, at most one of them, while Ready is not True.
fn progress(checked: &Checked, observed: &Observed, outcomes: &Outcomes, findings: &[Finding]) -> Option<Finding> {
    let ready = findings.iter().find(|finding| finding.name == "Ready")?;
    if ready.status == crate::reconcile::conditions::Status::True {
        return None;
    }
    let failed = outcomes.import.as_ref().or(outcomes.others.first()).map(StepError::class);
    let class = failed
        .or(observed.trouble.as_ref().map(crate::cache::CacheError::class))
        .or_else(|| fetch_problem(observed).map(|problem| problem.class));
    match class {
        Some(Class::Stalled) => Some(Finding::holds("Stalled", &ready.reason, &ready.message)),
        Some(Class::Waiting | Class::Transient | Class::Internal) | None if !checked.suspend => {
            Some(Finding::holds("Reconciling", "ProgressingWithRetry", &ready.message))
        }
        Some(Class::Waiting | Class::Transient | Class::Internal) | None => None,
    }
}

/// The time of the next pass: when the next fetch is due or the list expires, whichever is first.
fn requeue_at(
    checked: &Checked,
    status: &ImageListSubscriptionStatus,
    list: Option<&ListInForce>,
    now: Timestamp,
) -> Option<Timestamp> {
    let fetch = status.next_fetch_time.as_ref().map(|Time(at)| *at).filter(|_| !checked.suspend && !checked.deleting);
    let expiry = list.map(|list| list.expires).filter(|expires| *expires > now);
    fetch.into_iter().chain(expiry).min()
}
