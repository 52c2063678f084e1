//! The report of a pass over a target: its own status, and the state of each image there. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use url::{Host, Url};

use super::apply::Outcomes;
use super::check::Checked;
use super::conversions::Needed;
use super::deletion::{self, Deletion};
use super::observe::{Observed, TargetImage};
use super::plan::{Lost, Requests};
use super::refusal::Refusal;
use super::request::Asked;
use crate::api::{Class, CloudTargetStatus, ObjectKey, time};
use crate::cloud::{AnyOutcome, Reason, Verdict};
use crate::reconcile::conditions::{Finding, Status, merge};
use crate::reconcile::exchange::{Answer, DesiredState, PublicationStatus, Published};
use crate::reconcile::report::Report;

/// How soon it is checked again whether a missing Secret exists.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// The results of a pass, for the target and for the passes of its images.
pub(super) struct TargetReport {
    /// The report of the target itself.
    pub report: Report<CloudTargetStatus>,
    /// The state of each image there.
    pub statuses: BTreeMap<ObjectKey, PublicationStatus>,
    /// When a running import is checked again.
    pub importing: Option<Timestamp>,
}

/// The report of a pass.
pub(super) fn report(
    checked: &Checked,
    observed: &Observed,
    requests: &Requests,
    outcomes: &Outcomes,
    now: Timestamp,
) -> TargetReport {
    let statuses = statuses(checked, observed, requests, outcomes);
    let before = &observed.status;
    let cloud = outcomes.answer.as_ref().and_then(|answer| answer.cloud.as_ref().ok().map(|cloud| (answer.at, cloud)));
    let pending = observed.wanted.iter().filter(|wanted| is_pending(checked, wanted, &statuses)).count();
    let images = images(observed, &statuses);
    let mut status = CloudTargetStatus {
        observed_generation: checked.generation,
        conditions: Vec::new(),
        server_version: cloud.map(|(_, cloud)| cloud.version.clone()).or_else(|| before.server_version.clone()),
        images: number(images),
        pending: number(pending),
        // Set when the cloud first responded after a failure, not at every pass: an unchanged status is not written.
        last_probe_time: match (cloud, &before.last_probe_time) {
            (Some((at, _)), None) => Some(time(at)),
            (_, before) => before.clone(),
        },
    };
    let ready = departing(ready(checked, observed, requests, outcomes), &observed.deletion);
    let moving = moving(requests, outcomes).filter(|_| ready.status != Status::True);
    let moving = moving.map(|name| Finding::holds(name, ready.reason.clone(), ready.message.clone()));
    let findings = std::iter::once(ready).chain(moving).collect();
    status.conditions = merge(&before.conditions, findings, checked.generation, now);
    let importing = outcomes.next.filter(|_| outcomes.copying);
    TargetReport {
        report: Report {
            status,
            events: Vec::new(),
            requeue_at: requeue_at(requests, outcomes, &observed.deletion, now),
        },
        statuses,
        importing,
    }
}

/// The condition of a target that is being deleted, with what it is held for.
fn departing(found: Finding, deletion: &Deletion) -> Finding {
    let Deletion::Blocked { images, named, unread, .. } = deletion else { return found };
    match found.status {
        Status::True | Status::Unknown => {
            Finding::fails(found.name, "Deleting", deletion::told(images, unread, *named, ""))
        }
        Status::False => Finding { message: deletion::told(images, unread, *named, &found.message), ..found },
    }
}

/// The time of the next pass. Some changes by others, such as a new Secret, may not wake the target, so they are
/// checked for.
fn requeue_at(requests: &Requests, outcomes: &Outcomes, deletion: &Deletion, now: Timestamp) -> Option<Timestamp> {
    let again = if let Deletion::Blocked { again, .. } = deletion { *again } else { None };
    let waits = match requests {
        Requests::Nothing { reason: "Suspended" | "Deleting", .. } => false,
        Requests::Nothing { class, .. } => matches!(class, Class::Waiting | Class::Transient),
        Requests::Ask { lost, .. } => lost.is_some(),
    };
    let waits = waits.then(|| now.checked_add(LOOK_AGAIN).ok()).flatten();
    outcomes.next.into_iter().chain(again).chain(waits).min()
}

/// The number of images in circulation: from the cloud's answer, or from the status of images that the cloud was not
/// asked about.
fn images(observed: &Observed, statuses: &BTreeMap<ObjectKey, PublicationStatus>) -> usize {
    let known = |image: &&ObjectKey| statuses.get(*image).is_none_or(|publication| !publication.asked);
    let published =
        |publication: &&PublicationStatus| publication.asked && publication.reason == Reason::Published.as_str();
    observed.there.iter().filter(known).count() + statuses.values().filter(published).count()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_pending(checked: &Checked, wanted: &TargetImage, statuses: &BTreeMap<ObjectKey, PublicationStatus>) -> bool {
    let publication = statuses.get(&wanted.image);
    match wanted.desired.at.get(&checked.key.name) {
        None | Some(DesiredState::Leave | DesiredState::Release) => false,
        Some(DesiredState::Withdraw) => !publication.is_some_and(|publication| publication.withdrawn),
        Some(DesiredState::Publish(_)) => {
            publication.is_none_or(|publication| publication.reason != Reason::Published.as_str())
        }
    }
}

fn ready(checked: &Checked, observed: &Observed, requests: &Requests, outcomes: &Outcomes) -> Finding {
    const NAME: &str = "Ready";
    let obstacle = checked.hand_over.obstacle(observed.image_paths.is_some());
    match (requests, outcomes.answer.as_ref().map(|answer| &answer.cloud)) {
        (Requests::Nothing { reason, message, .. }, _) => Finding::fails(NAME, *reason, message),
        (Requests::Ask { lost: Some(Lost { reason, message }), .. }, _) => {
            let message = format!("{message}; images are taken out of circulation with what was read of it before");
            Finding::fails(NAME, *reason, message)
        }
        (Requests::Ask { .. }, Some(Ok(cloud))) => {
            if let Some(Refusal { reason, message }) = obstacle {
                return Finding::fails(NAME, reason, message);
            }
            let open = if is_readable_on_the_way(&checked.endpoint) { READABLE } else { "" };
            let message = format!("{}{open}", cloud.text);
            Finding::holds(NAME, "Succeeded", message)
        }
        (Requests::Ask { .. }, Some(Err(error))) => Finding::fails(NAME, error.reason, error.to_string()),
        (Requests::Ask { .. }, None) => Finding::unknown(
            NAME,
            "Progressing",
            format!("{} was not asked yet", checked.endpoint.host_str().unwrap_or_default()),
        ),
    }
}

/// The note of a target whose credentials are sent in plain text.
const READABLE: &str = "; the endpoint is plain http, so anyone on the way can read the log-in";

/// Whether the credentials leave this machine without TLS.
fn is_readable_on_the_way(endpoint: &Url) -> bool {
    let is_here = match endpoint.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    endpoint.scheme() != "https" && !is_here
}

fn moving(requests: &Requests, outcomes: &Outcomes) -> Option<&'static str> {
    let class = match (requests, outcomes.answer.as_ref()) {
        (Requests::Nothing { reason: "Suspended", .. }, _) => return None,
        (Requests::Nothing { class, .. }, _) => *class,
        (Requests::Ask { lost: Some(_), .. }, _) => Class::Waiting,
        (Requests::Ask { .. }, Some(Answer { cloud: Err(error), .. })) => error.class,
        (Requests::Ask { .. }, _) => Class::Waiting,
    };
    Some(match class {
        Class::Stalled => "Stalled",
        Class::Waiting | Class::Transient | Class::Internal => "Reconciling",
    })
}

fn statuses(
    checked: &Checked,
    observed: &Observed,
    requests: &Requests,
    outcomes: &Outcomes,
) -> BTreeMap<ObjectKey, PublicationStatus> {
    let wanted = observed.wanted.iter().enumerate();
    let each = wanted.filter_map(|(place, wanted)| {
        let publication = match requests {
            Requests::Nothing { reason, message, .. } => PublicationStatus::nothing(wanted, reason, message),
            Requests::Ask { requests, lost } => {
                let (asked, answer) = (requests.get(place)?, outcomes.answer.as_ref()?);
                lost.as_ref()
                    .and_then(|lost| without_secret(wanted, asked, lost, answer))
                    .or_else(|| publication(checked, wanted, asked, answer, place))?
            }
        };
        Some((wanted.image.clone(), publication))
    });
    each.collect()
}

/// The state of an image for which the previous content of a Secret cannot be used; `None` if it can.
fn without_secret(wanted: &TargetImage, asked: &Asked, lost: &Lost, answer: &Answer) -> Option<PublicationStatus> {
    if asked.request.is_none() {
        return Some(PublicationStatus::nothing(wanted, lost.reason, &lost.message));
    }
    let refused = answer.cloud.as_ref().err().filter(|error| error.is_refused)?;
    let message = format!("{}; what was read of it before is refused: {refused}", lost.message);
    Some(PublicationStatus::nothing(wanted, lost.reason, &message))
}

fn publication(
    checked: &Checked,
    wanted: &TargetImage,
    asked: &Asked,
    answer: &Answer,
    place: usize,
) -> Option<PublicationStatus> {
    let outcome = match (&answer.cloud, answer.outcomes.get(place)) {
        (Err(error), _) => {
            return Some(PublicationStatus::nothing(wanted, error.reason, &error.to_string()));
        }
        (Ok(_), outcome) => outcome?.as_ref()?,
    };
    let (published, reason, message) = verdict(checked, wanted, asked, outcome)?;
    let waits = asked.refusal.as_ref().is_some_and(Refusal::ends_by_itself);
    let progress = wanted.needed.as_ref().filter(|_| waits).and_then(Needed::progress);
    let unfinished = outcome.all_unfinished().map(|(reason, message)| (reason.as_str(), message));
    Some(PublicationStatus {
        published,
        image_name: outcome.identifier.to_string(),
        asked: true,
        withdrawn: outcome.verdict == Verdict::Retired,
        reason,
        message,
        retired: number(outcome.retired),
        unfinished,
        progress,
    })
}

/// What is in circulation after a pass, with the reason and the message of the `Published` condition.
fn verdict(
    checked: &Checked,
    wanted: &TargetImage,
    asked: &Asked,
    outcome: &AnyOutcome,
) -> Option<(Option<Published>, &'static str, String)> {
    let told = told(outcome);
    Some(match &outcome.verdict {
        Verdict::Published { id } => {
            let version = match wanted.desired.at.get(&checked.key.name)? {
                DesiredState::Publish(offer) => offer,
                DesiredState::Withdraw | DesiredState::Leave | DesiredState::Release => return None,
            };
            let (sha512, version) = (version.sha512, version.image.version.to_string());
            let note = asked.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
            let message = format!("image {id}{told}{note}");
            (Some(Published { id: *id, sha512, version }), Reason::Published.as_str(), message)
        }
        Verdict::Retired => (None, Reason::Retired.as_str(), format!("no version of it is in circulation{told}")),
        Verdict::Waiting { reason, message, .. } => {
            let (reason, message) = match &asked.refusal {
                Some(refusal) => (refusal.reason, refusal.message.clone()),
                None => (reason.as_str(), checked.hand_over.without_tickets(&format!("{message}{told}"))),
            };
            (None, reason, message)
        }
    })
}

/// Additional notes for the message.
fn told(outcome: &AnyOutcome) -> String {
    let mut told = String::new();
    if !outcome.strangers.is_empty() {
        let ids: Vec<_> = outcome.strangers.iter().map(ToString::to_string).collect();
        told.push_str("; not believed to be ours: image ");
        told.push_str(&ids.join(", "));
    }
    for note in &outcome.notes {
        told.push_str("; ");
        told.push_str(note);
    }
    told
}

impl PublicationStatus {
    /// The cloud was not asked, or did not answer.
    fn nothing(wanted: &TargetImage, reason: &'static str, message: &str) -> Self {
        let image_name = wanted.desired.identifier.to_string();
        let (message, published) = (message.to_owned(), None);
        let (retired, unfinished, progress) = (0, None, None);
        Self { published, image_name, asked: false, withdrawn: false, reason, message, retired, unfinished, progress }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_over_plain_http_is_told_unless_it_stays_on_this_machine() {
        for (endpoint, is_readable) in [
            ("http://one.example.org:2633/RPC2", true),
            ("http://192.0.2.1:2633/RPC2", true),
            ("http://localhost.example.org/RPC2", true),
            ("http://localhost:2633/RPC2", false),
            ("http://127.0.0.1:2633/RPC2", false),
            ("http://[::1]:2633/RPC2", false),
            ("https://one.example.org/RPC2", false),
        ] {
            assert_eq!(is_readable_on_the_way(&endpoint.parse().unwrap()), is_readable, "{endpoint}");
        }
    }
}
