//! How well each object is, by its stored status. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::shown::{State, Text};
use crate::api::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription};
use crate::reconcile::subscription::LATE_AFTER;

/// A list or an image that ends within this time expires soon.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Reasons of `Endorsed` for which no version of an image is given out any more.
pub(super) const WITHDRAWN: [&str; 3] = ["EndorserRevoked", "CertificateRevoked", "Excluded"];

/// One thing to know about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub state: State,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Since when, or until when.
    pub at: Option<Timestamp>,
}

impl Finding {
    fn new(state: State, reason: impl Into<String>, message: impl Into<String>, at: Option<Timestamp>) -> Self {
        Self { state, reason: reason.into(), message: message.into(), at }
    }

    fn of(state: State, condition: &Condition) -> Self {
        Self::new(state, &condition.reason, &condition.message, Some(condition.last_transition_time.0))
    }
}

/// The findings as a page shows them: the state, the reason and the message of each.
pub(super) fn shown(findings: &[Finding]) -> Vec<(State, Text, Text)> {
    findings.iter().map(|one| (one.state, Text::of(&one.reason), Text::of(&one.message))).collect()
}

/// The state of the first finding; good if there is none.
pub(super) fn state(findings: &[Finding]) -> State {
    findings.iter().map(|finding| finding.state).min().unwrap_or(State::Good)
}

/// Whether a time is less than a week away, or past.
pub(super) fn is_soon(end: Timestamp, now: Timestamp) -> bool {
    end <= now.saturating_add(SOON).unwrap_or(Timestamp::MAX)
}

/// What there is to know about a subscription.
pub(super) fn of_subscription(object: &ImageListSubscription, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if object.spec.suspend {
        found.push(Finding::new(State::Suspended, "Suspended", "it is suspended: no fetch, no new version", None));
    }
    let Some(status) = &object.status else {
        found.push(Finding::new(State::Waiting, "NotSeen", "no pass over it has ended yet", None));
        return found;
    };
    found.extend(not_ready(status));
    let failed = status.condition("FetchFailed").filter(|failed| failed.status == "True");
    found.extend(failed.map(|failed| Finding::of(State::Failing, failed)));
    if let Some(candidate) = &status.candidate {
        let message = format!("the newest message is not in force: {}", candidate.message);
        let at = candidate.created.as_ref().map(|time| time.0);
        found.push(Finding::new(State::Refused, &candidate.reason, message, at));
    }
    if let Some(late) = status.images.as_ref().map(|images| images.late).filter(|late| *late > 0) {
        let message = format!("{late} of its images are wanted for more than 24 hours and are not there");
        found.push(Finding::new(State::Late, "ImagesLate", message, None));
    }
    if let Some(list) = status.list.as_ref().filter(|list| is_soon(list.expires.0, now)) {
        let word = if list.expires.0 <= now { "has expired" } else { "expires soon" };
        let message = format!("its list {} {word}", list.version);
        found.push(Finding::new(State::Expiring, "ListExpiring", message, Some(list.expires.0)));
    }
    sorted(found)
}

/// What there is to know about an image.
pub(super) fn of_image(object: &CachedImage, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if object.spec.suspend {
        found.push(Finding::new(State::Suspended, "Suspended", "it is suspended: no download, no new version", None));
    }
    let Some(status) = &object.status else {
        found.push(Finding::new(State::Waiting, "NotSeen", "no pass over it has ended yet", None));
        return found;
    };
    if let Some(progress) = &status.progress {
        let message = format!("{}: {}", progress.step, progress.percent);
        found.push(Finding::new(State::Working, "Running", message, None));
    }
    let out = status.condition("Endorsed").filter(|endorsed| endorsed.status == "False");
    match out {
        Some(endorsed) => found.push(Finding::of(State::Out, endorsed)),
        None if status.failures.unwrap_or(0) > 0 || status.is_true("Stalled") => {
            found.extend(status.condition("Ready").filter(|ready| ready.status != "True").map(failing));
        }
        None => {
            let ready = not_ready(status).map(|finding| Finding { state: of_reason(&finding), ..finding });
            // What runs says more than that it is not done.
            found.extend(ready.filter(|one| one.state != State::Waiting || status.progress.is_none()));
        }
    }
    if out.is_none() {
        found.extend(is_late(object, now).map(|since| {
            let message = "it is wanted for more than 24 hours and is not there";
            Finding::new(State::Late, "Late", message, Some(since))
        }));
        let wanted = status.image.as_ref().filter(|wanted| is_soon(wanted.expires.0, now));
        found.extend(wanted.map(|wanted| {
            let message = format!("the endorsement of version {} ends", wanted.version);
            Finding::new(State::Expiring, "Expiring", message, Some(wanted.expires.0))
        }));
    }
    sorted(found)
}

/// Since when an image is late.
fn is_late(object: &CachedImage, now: Timestamp) -> Option<Timestamp> {
    let status = object.status.as_ref()?;
    let wanted = status.image.as_ref()?;
    let is_there = status.artifact.as_ref().is_some_and(|artifact| {
        artifact.version == wanted.version
            && wanted.sha512.as_ref().is_none_or(|sha512| sha512.eq_ignore_ascii_case(&artifact.sha512))
    });
    let since = wanted.wanted_since.0;
    (!is_there && now.duration_since(since) > LATE_AFTER).then_some(since)
}

/// The state of an image that no try failed for: its work may only not have ended.
fn of_reason(finding: &Finding) -> State {
    match finding.reason.as_str() {
        "Downloading" | "NotCached" | "Converting" | "Importing" | "ListNotReady" | "Deleting" => State::Waiting,
        "Suspended" => State::Suspended,
        _ => finding.state,
    }
}

fn failing(ready: &Condition) -> Finding {
    Finding::of(State::Failing, ready)
}

/// What there is to know about an endorser.
pub(super) fn of_endorser(object: &Endorser) -> Vec<Finding> {
    let Some(status) = &object.status else {
        return vec![Finding::new(State::Waiting, "NotSeen", "no pass over it has ended yet", None)];
    };
    let mut found: Vec<Finding> = not_ready(status).into_iter().collect();
    let stale = status.condition("CRLsFresh").filter(|fresh| fresh.status == "False");
    found.extend(stale.map(|stale| Finding::of(State::Failing, stale)));
    let expiring = status.condition("CredentialExpiring").filter(|expiring| expiring.status == "True");
    found.extend(expiring.map(|expiring| Finding::of(State::Expiring, expiring)));
    sorted(found)
}

/// What there is to know about a cloud.
pub(super) fn of_target(object: &CloudTarget) -> Vec<Finding> {
    let mut found = Vec::new();
    if object.spec.suspend {
        found.push(Finding::new(State::Suspended, "Suspended", "it is suspended: no call is made to it", None));
    }
    match &object.status {
        Some(status) => found.extend(not_ready(status)),
        None => found.push(Finding::new(State::Waiting, "NotSeen", "no pass over it has ended yet", None)),
    }
    sorted(found)
}

/// The condition `Ready`, unless it is true.
fn not_ready(status: &impl HasConditions) -> Option<Finding> {
    let Some(ready) = status.condition("Ready") else {
        return Some(Finding::new(State::Waiting, "NotSeen", "no pass over it has ended yet", None));
    };
    match ready.status.as_str() {
        "True" => None,
        "False" => Some(failing(ready)),
        _ => Some(Finding::of(State::Waiting, ready)),
    }
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| finding.state);
    findings
}
