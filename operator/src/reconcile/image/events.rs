//! The events of an image. Pure.

use super::apply::Outcomes;
use super::check::Checked;
use super::observed::Observed;
use super::plan::{Phase, Plan, Step};
use super::target_status::RETIRED;
use super::targets::at;
use crate::api::{HasConditions as _, Kind, TargetStatus};
use crate::reconcile::exchange::{Desired, DesiredState};
use crate::size::Size;
use crate::store::ObjectEvent;

/// Reasons of a target that end by themselves, or that a user caused.
const QUIET: &[&str] = &["Progressing", "Importing", "Retiring", "Retired", "Suspended"];

/// The events of a pass, with the desired state and the new status of the targets.
pub(super) fn events(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    desired: &Desired,
    targets: &[TargetStatus],
) -> Vec<ObjectEvent> {
    let mut events = done(observed, plan, outcomes);
    events.extend(circulation(observed, targets));
    events.extend(obstacles(observed, desired, targets));
    events.extend(abandoned(checked, observed, plan));
    let events = events.into_iter().map(|(warning, reason, message)| ObjectEvent {
        kind: Kind::Image,
        key: checked.key.clone(),
        warning,
        reason: reason.to_owned(),
        message,
    });
    events.collect()
}

/// Whether it is a warning, the reason, and the message with the figures.
type Told = (bool, &'static str, String);

fn done(observed: &Observed, plan: &Plan, outcomes: &Outcomes) -> Vec<Told> {
    let done = plan.steps.iter().take(outcomes.done);
    let mut events: Vec<Told> = done
        .filter_map(|step| match step {
            Step::Publish { version, blob, returns: false } => {
                Some((false, "ImageDownloaded", format!("version {version}, {}, verified", Size(blob.size()))))
            }
            Step::Publish { version, returns: true, .. } => {
                Some((false, "ImageRestored", format!("version {version} is back from the archive")))
            }
            Step::Archive(entry) => Some((false, "ImageArchived", format!("version {} is archived", entry.version))),
            Step::Finalize(_)
            | Step::ForgetJob(_)
            | Step::CancelJob(_)
            | Step::StartDownload { .. }
            | Step::RemoveArchived(_) => None,
        })
        .collect();
    let vetoed_before = || observed.status.condition("Cached").is_some_and(|cached| cached.reason == "HookVetoed");
    if let Some(failed) = outcomes.failed.as_ref().filter(|failed| failed.veto().is_some() && !vetoed_before()) {
        events.push((true, "HookVetoed", failed.to_string()));
    }
    if let (Phase::Failed { reason, message }, true) = (&plan.phase, plan.tries.last.is_some() && counted(plan)) {
        events.push((true, reason, message.clone()));
    }
    events
}

/// The events for images that came into circulation at a target, or went out of it.
fn circulation(observed: &Observed, after: &[TargetStatus]) -> Vec<Told> {
    let before = &observed.status.targets;
    let mut events = Vec::new();
    for target in after {
        let known = at(before, &target.name).is_some_and(|before| before.sha512 == target.sha512);
        if let (Some(id), Some(version), false) = (&target.id, &target.version, known) {
            let message = format!("version {version} at {} as image {id}", target.name);
            events.push((false, "ImagePublished", message));
        }
    }
    for target in after {
        let known = at(before, &target.name).is_some_and(|before| before.condition(RETIRED).is_some());
        if let (Some(condition), false) = (target.condition(RETIRED), known) {
            events.push((true, "RetirementIncomplete", format!("{}: {}", target.name, condition.message)));
        }
    }
    for target in before.iter().filter(|target| target.id.is_some()) {
        if at(after, &target.name).is_some_and(|after| after.id.is_some()) {
            continue;
        }
        let image = observed.targets.image_at(before, &target.name);
        events.push(if observed.targets.missing.contains(&target.name) {
            let message = format!("the CloudTarget {} is gone: {image} stays in circulation", target.name);
            (true, "RetireAbandoned", message)
        } else {
            (false, "ImageRetired", format!("{image} is out of circulation"))
        });
    }
    events
}

/// The events for new reasons that prevent an image from being taken out of circulation, and for targets that were
/// deleted while an image is in circulation there.
fn obstacles(observed: &Observed, desired: &Desired, after: &[TargetStatus]) -> Vec<Told> {
    let before = &observed.status.targets;
    let held = observed.targets.holding(before);
    let each = after.iter().filter(|target| held.contains(&target.name.as_str())).filter_map(|target| {
        let now = target.condition("Published").filter(|now| now.status == "False")?;
        let last = at(before, &target.name).and_then(|before| before.condition("Published"));
        let is_loud = !QUIET.contains(&now.reason.as_str());
        let is_new = is_loud && last.is_none_or(|last| last.reason != now.reason);
        let image = observed.targets.image_at(before, &target.name);
        match desired.at.get(&target.name)? {
            DesiredState::Withdraw => {
                let message = format!("{image} cannot be taken out of circulation: {}: {}", now.reason, now.message);
                // The reason that prevented publishing may also prevent the removal.
                let is_owed_now = is_loud && was_wanted(observed, &target.name);
                (is_new || is_owed_now).then_some((true, "RetireBlocked", message))
            }
            DesiredState::Publish(_) | DesiredState::Leave | DesiredState::Release => {
                let gone = is_new && now.reason == "TargetNotFound";
                let message =
                    format!("the CloudTarget {} does not exist any more: nothing manages {image}", target.name);
                gone.then_some((true, "TargetNotFound", message))
            }
        }
    });
    each.collect()
}

/// Whether the pass before wanted an image to stay at a target that could not be asked.
fn was_wanted(observed: &Observed, target: &str) -> bool {
    let before = observed.desired.as_ref().and_then(|desired| desired.at.get(target));
    let unasked = observed.targets.statuses.get(target).is_some_and(|publication| !publication.asked);
    unasked && before.is_some_and(|desire| !matches!(desire, DesiredState::Withdraw))
}

/// The event for images that stay in circulation although their object is deleted.
fn abandoned(checked: &Checked, observed: &Observed, plan: &Plan) -> Option<Told> {
    let before = &observed.status.targets;
    let held = observed.targets.holding(before);
    let images: Vec<String> = held.iter().map(|name| observed.targets.image_at(before, name)).collect();
    let why = if is_taken_off(checked, observed) && !images.is_empty() {
        TAKEN_OFF.to_owned()
    } else if observed.abandoned && plan.lets_go() {
        let why = held.iter().map(|name| match observed.targets.statuses.get(*name) {
            Some(publication) => publication.message.clone(),
            None => format!("the CloudTarget {name} is gone"),
        });
        format!("all of the namespace goes, and {}", why.collect::<Vec<_>>().join("; "))
    } else {
        return None;
    };
    Some((true, "RetireAbandoned", format!("{} stays in circulation: {why}", images.join(", "))))
}

/// Whether the pass before held the object, and its finalizer is missing now. This program removes it only when nothing
/// is held any more, so somebody else did.
fn is_taken_off(checked: &Checked, observed: &Observed) -> bool {
    checked.deleting && !checked.finalizer && observed.desired.as_ref().is_some_and(|before| before.held)
}

pub(super) const TAKEN_OFF: &str = "somebody removed its finalizer";

/// Whether this pass counted a failed download.
fn counted(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::ForgetJob(_)))
}
