//! The desired state of an image at its targets, and its current state there for the status. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::check::Checked;
use super::observed::Observed;
use super::plan::{Phase, Plan};
use super::policy::{is_asked_anew, is_leaving, is_retired, is_revoked, is_suspended};
use super::targets::at;
use super::want::Want;
use crate::api::{HasConditions, TargetStatus, time};
use crate::imagelist::Sha512Digest;
use crate::reconcile::conditions::{Finding, Status, merge};
use crate::reconcile::exchange::{Desired, DesiredState, Offer, PublicationStatus};

/// The condition for older versions of an image that are not completely out of circulation.
pub(super) const RETIRED: &str = "Retired";

/// The desired state at the targets. The image is taken out of circulation at targets that are no longer named.
pub(super) fn desired(checked: &Checked, observed: &Observed, plan: &Plan) -> Desired {
    let desire = desire(checked, observed, plan);
    let (before, retired) = (&observed.status.targets, is_retired(checked, observed));
    let desired = |name: &String| {
        let goes = observed.targets.leaving.contains(name) && desire != DesiredState::Withdraw;
        let desire = match (goes, retired && observed.targets.may_have(before, name)) {
            (false, _) => desire.clone(),
            (true, false) => DesiredState::Release,
            // Otherwise nothing could take it out of circulation when its object is deleted.
            (true, true) => DesiredState::Leave,
        };
        (name.clone(), desire)
    };
    let mut at: BTreeMap<String, DesiredState> = observed.targets.named.iter().map(desired).collect();
    for target in before.iter().filter(|target| observed.targets.may_have(before, &target.name)) {
        at.entry(target.name.clone()).or_insert(DesiredState::Withdraw);
    }
    let asked = is_asked_anew(checked, observed);
    let held = checked.deleting && checked.finalizer && !plan.lets_go();
    Desired {
        identifier: checked.image.identifier.clone(),
        at,
        adopt: checked.adopt.clone(),
        asked,
        held,
        revoked: is_revoked(observed),
    }
}

fn desire(checked: &Checked, observed: &Observed, plan: &Plan) -> DesiredState {
    if checked.deleting {
        return if is_leaving(checked, observed) { DesiredState::Withdraw } else { DesiredState::Leave };
    }
    match (&observed.want, observed.list.as_deref()) {
        (Want::Out { .. }, _) => DesiredState::Withdraw,
        (Want::Image(wanted), Some(list)) if !is_suspended(checked, observed) => {
            // Until it is downloaded, it is not known which version in a cloud would be this one.
            let Some(sha512) = wanted.image.sha512() else { return DesiredState::Leave };
            DesiredState::Publish(Arc::new(Offer {
                image: wanted.image.clone(),
                sha512,
                list: list.accepted.list().identifier.clone(),
                vo: wanted.vo.clone(),
                blob: observed.blob.clone().filter(|_| plan.phase == Phase::Current),
            }))
        }
        (Want::Image(_) | Want::Kept { .. } | Want::Unclear { .. }, _) => DesiredState::Leave,
    }
}

/// The state of the image at each target, for its status.
pub(super) fn statuses(checked: &Checked, observed: &Observed, desired: &Desired, now: Timestamp) -> Vec<TargetStatus> {
    let each = desired.at.iter().filter_map(|(name, desire)| {
        let before = at(&observed.status.targets, name);
        let publication = observed.targets.statuses.get(name);
        let named = observed.targets.named.contains(name);
        if !named
            && (publication.is_some_and(|publication| publication.withdrawn) || observed.targets.missing.contains(name))
        {
            return None;
        }
        let mut status = circulation(name, before, publication, now);
        let withdrawn = publication.is_some_and(|publication| publication.withdrawn);
        if status.id.is_none() {
            let recorded = !withdrawn && observed.targets.recorded.contains_key(name);
            status.image_name = recorded.then(|| checked.image.identifier.to_string());
        }
        let finding = finding(checked, observed, desire, &status, before, publication);
        let earlier = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
        let findings = std::iter::once(finding).chain(unfinished(before, publication)).collect();
        status.conditions = merge(earlier, findings, checked.generation, now);
        Some(status)
    });
    each.collect()
}

/// What is in circulation at a target, as far as it is known.
fn circulation(
    name: &str,
    before: Option<&TargetStatus>,
    publication: Option<&PublicationStatus>,
    now: Timestamp,
) -> TargetStatus {
    let empty = TargetStatus {
        name: name.to_owned(),
        id: None,
        image_name: None,
        version: None,
        sha512: None,
        published_time: None,
        retired: before.map_or(0, |before| before.retired),
        conditions: Vec::new(),
    };
    let Some(publication) = publication else { return before.cloned().unwrap_or(empty) };
    let retired = if publication.asked { publication.retired } else { empty.retired };
    let Some(published) = &publication.published else {
        let kept = before.cloned().filter(|_| !publication.withdrawn).unwrap_or(empty);
        return TargetStatus { retired, ..kept };
    };
    let sha512 = published.sha512.to_string();
    let since = before.filter(|before| before.sha512.as_ref() == Some(&sha512));
    TargetStatus {
        id: Some(published.id.to_string()),
        image_name: Some(publication.image_name.clone()),
        version: Some(published.version.clone()),
        published_time: since.and_then(|before| before.published_time.clone()).or_else(|| Some(time(now))),
        sha512: Some(sha512),
        retired,
        ..empty
    }
}

fn finding(
    checked: &Checked,
    observed: &Observed,
    desire: &DesiredState,
    status: &TargetStatus,
    before: Option<&TargetStatus>,
    publication: Option<&PublicationStatus>,
) -> Finding {
    const NAME: &str = "Published";
    if observed.targets.missing.contains(&status.name) {
        let message = format!("expected the CloudTarget {}, found none; what is there stays", status.name);
        return Finding::fails(NAME, "TargetNotFound", message);
    }
    let wanted = match desire {
        DesiredState::Publish(offer) => Some(offer.sha512),
        DesiredState::Withdraw => None,
        DesiredState::Leave | DesiredState::Release => return left(checked, observed, status, before),
    };
    let Some(publication) = publication else {
        return Finding::unknown(NAME, "Progressing", "the target was not asked yet");
    };
    match wanted {
        // An image that was last seen there counts as still there.
        Some(wanted) if !publication.asked && holds(status, wanted) => {
            let message = format!("as last seen; now {}: {}", publication.reason, publication.message);
            Finding::holds(NAME, "Published", message)
        }
        Some(wanted) if publication.published.is_some() && holds(status, wanted) => {
            Finding::holds(NAME, "Published", &publication.message)
        }
        Some(_) if publication.published.is_some() || publication.withdrawn => {
            Finding::fails(NAME, "Importing", "the wanted version is on its way")
        }
        None if publication.withdrawn => Finding::fails(NAME, "Retired", &publication.message),
        None if publication.published.is_some() => Finding::fails(NAME, "Retiring", "it is taken out of circulation"),
        Some(_) | None => Finding::fails(NAME, publication.reason, &publication.message),
    }
}

/// The condition where nothing is asked of the target now.
fn left(checked: &Checked, observed: &Observed, status: &TargetStatus, before: Option<&TargetStatus>) -> Finding {
    let waits = overdue(observed, status).or_else(|| unknown_content(checked, observed));
    waits.unwrap_or_else(|| as_before(before))
}

/// The condition of a target where older versions are not completely out of circulation; `None` if all are. While the
/// cloud does not respond, the condition stays as it was.
fn unfinished(before: Option<&TargetStatus>, publication: Option<&PublicationStatus>) -> Option<Finding> {
    if let Some(publication) = publication.filter(|publication| publication.asked) {
        let (reason, message) = publication.unfinished.as_ref()?;
        return Some(Finding::fails(RETIRED, *reason, message));
    }
    let known = before?.condition(RETIRED)?;
    Some(Finding::fails(RETIRED, known.reason.clone(), known.message.clone()))
}

/// The reason and message of the first target where older versions are not completely out of circulation.
pub(super) fn retirement(statuses: &[TargetStatus]) -> Option<(String, String)> {
    let told = |status: &TargetStatus| {
        let condition = status.condition(RETIRED)?;
        Some((condition.reason.clone(), format!("{}: {}", status.name, condition.message)))
    };
    statuses.iter().find_map(told)
}

/// The condition if a newer version is not published because the target is being deleted.
fn overdue(observed: &Observed, status: &TargetStatus) -> Option<Finding> {
    let Want::Image(wanted) = &observed.want else { return None };
    let overdue = observed.targets.leaving.contains(&status.name)
        && !wanted.image.sha512().is_some_and(|sha512| holds(status, sha512));
    let message = || format!("the CloudTarget {} is being deleted: nothing new is published there", status.name);
    overdue.then(|| Finding::fails("Published", "TargetDeleting", message()))
}

/// The condition while the content of the wanted version has to be downloaded before it is known.
fn unknown_content(checked: &Checked, observed: &Observed) -> Option<Finding> {
    let Want::Image(wanted) = &observed.want else { return None };
    let downloads = wanted.image.sha512().is_none() && !checked.deleting && !is_suspended(checked, observed);
    downloads.then(|| Finding::fails("Published", "Importing", "the wanted version is downloaded first"))
}

/// The condition as it was: nothing is asked of the target.
fn as_before(before: Option<&TargetStatus>) -> Finding {
    const NAME: &str = "Published";
    let Some(known) = before.and_then(|before| before.condition(NAME)) else {
        return Finding::unknown(NAME, "Progressing", "nothing is asked of the target");
    };
    let status = if known.status == "True" { Status::True } else { Status::False };
    Finding { name: NAME, status, reason: known.reason.clone(), message: known.message.clone() }
}

fn holds(status: &TargetStatus, wanted: Sha512Digest) -> bool {
    status.sha512.as_deref() == Some(wanted.to_string().as_str())
}

/// The condition for all targets together; `None` if there is no target.
pub(super) fn published(statuses: &[TargetStatus]) -> Option<Finding> {
    const NAME: &str = "Published";
    let open = statuses.iter().find(|status| !status.is_true(NAME));
    let names = || statuses.iter().map(|status| status.name.as_str()).collect::<Vec<_>>().join(", ");
    match open {
        None if statuses.is_empty() => None,
        None => Some(Finding::holds(NAME, "Published", format!("at {}", names()))),
        Some(open) => {
            let condition = open.condition(NAME);
            let reason = condition.map_or("Progressing", |condition| condition.reason.as_str());
            let message = condition.map(|condition| condition.message.as_str()).unwrap_or_default();
            Some(Finding::fails(NAME, reason, format!("{}: {message}", open.name)))
        }
    }
}

/// What an object that is being deleted waits for, and why, as text; `None` if it waits for nothing in a cloud.
pub(super) fn held_for(observed: &Observed, after: &[TargetStatus]) -> Option<String> {
    let before = &observed.status.targets;
    let each = observed.targets.holding(before).into_iter().map(|name| {
        let condition = at(after, name).and_then(|target| target.condition("Published"));
        let why = condition.map(|condition| format!(" ({}: {})", condition.reason, condition.message));
        format!("{}{}", observed.targets.image_at(before, name), why.unwrap_or_default())
    });
    let held = each.collect::<Vec<_>>().join(", ");
    let until = observed.abandoned_from.map(|from| format!("; let go at {}", time(from).0)).unwrap_or_default();
    (!held.is_empty()).then(|| format!("being deleted, and held until out of circulation: {held}{until}"))
}
