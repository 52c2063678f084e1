//! What happened to an image, for people and programs that listen. Pure.

use super::apply::Outcomes;
use super::check::Checked;
use super::observe::Observed;
use super::plan::{Phase, Plan, Step};
use crate::api::TargetStatus;
use crate::reconcile::cluster::{Happening, Kind};
use crate::size::Size;

/// What happened in a pass that leaves the targets so.
pub(super) fn happenings(
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    outcomes: &Outcomes,
    targets: &[TargetStatus],
) -> Vec<Happening> {
    let mut happenings = done(checked, plan, outcomes);
    happenings.extend(circulation(checked, observed, targets));
    happenings.extend(abandoned(checked, observed, plan));
    happenings
}

fn done(checked: &Checked, plan: &Plan, outcomes: &Outcomes) -> Vec<Happening> {
    let told =
        |warning, reason, message| Happening { kind: Kind::Image, key: checked.key.clone(), warning, reason, message };
    let done = plan.steps.iter().take(outcomes.done);
    let mut happenings: Vec<Happening> = done
        .filter_map(|step| match step {
            Step::Publish { version, blob, returns: false } => {
                Some(told(false, "ImageDownloaded", format!("version {version}, {}, verified", Size(blob.size()))))
            }
            Step::Publish { version, returns: true, .. } => {
                Some(told(false, "ImageRestored", format!("version {version} is back from the archive")))
            }
            Step::Archive(entry) => {
                Some(told(false, "ImageArchived", format!("version {} is archived", entry.version)))
            }
            Step::Finalize(_)
            | Step::ForgetJob(_)
            | Step::CancelJob(_)
            | Step::StartDownload { .. }
            | Step::RemoveArchived(_) => None,
        })
        .collect();
    if let (Phase::Failed { reason, message }, true) = (&plan.phase, plan.tries.last.is_some() && counted(plan)) {
        happenings.push(told(true, reason, message.clone()));
    }
    happenings
}

/// What came into circulation at a target, or went out of it.
fn circulation(checked: &Checked, observed: &Observed, after: &[TargetStatus]) -> Vec<Happening> {
    let before = &observed.status.targets;
    let told =
        |warning, reason, message| Happening { kind: Kind::Image, key: checked.key.clone(), warning, reason, message };
    let at = |targets: &[TargetStatus], name: &str| targets.iter().find(|target| target.name == name).cloned();
    let mut happenings = Vec::new();
    for target in after {
        let known = at(before, &target.name).is_some_and(|before| before.sha512 == target.sha512);
        if let (Some(id), Some(version), false) = (&target.id, &target.version, known) {
            happenings.push(told(
                false,
                "ImagePublished",
                format!("version {version} at {} as image {id}", target.name),
            ));
        }
    }
    for target in before.iter().filter(|target| target.id.is_some()) {
        if at(after, &target.name).is_some_and(|after| after.id.is_some()) {
            continue;
        }
        happenings.push(if observed.targets.missing.contains(&target.name) {
            let id = target.id.as_deref().unwrap_or_default();
            let message = format!("the target {} is gone: image {id} stays in circulation there", target.name);
            told(true, "RetireAbandoned", message)
        } else {
            told(false, "ImageRetired", format!("out of circulation at {}", target.name))
        });
    }
    happenings
}

/// What stays in circulation though its object goes.
fn abandoned(checked: &Checked, observed: &Observed, plan: &Plan) -> Option<Happening> {
    let lets_go = plan.steps.iter().any(|step| matches!(step, Step::Finalize(false)));
    let message = "the namespace goes, and the targets or their Secrets are gone: what is in circulation there stays";
    (observed.abandoned && lets_go).then(|| Happening {
        kind: Kind::Image,
        key: checked.key.clone(),
        warning: true,
        reason: "RetireAbandoned",
        message: message.to_owned(),
    })
}

/// Whether this pass counted a failure.
fn counted(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::ForgetJob(_)))
}
