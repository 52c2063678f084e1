//! Does what the plan says. Decides nothing.

use super::check::Checked;
use super::observe::ListMemory;
use super::plan::{Plan, Step};
use crate::api::ImageListSubscription;
use crate::reconcile::cluster::Cluster;
use crate::reconcile::context::Context;
use crate::reconcile::step::{StepError, StepProblem};

/// What became of the steps.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// What kept the new list from coming into force; the one before stays.
    pub import: Option<StepError>,
    /// What went wrong with images and with the object itself.
    pub others: Vec<StepError>,
}

/// Does the steps that make the new list the one in force. When one fails the list before stays, and nothing else is
/// done.
pub(super) async fn import<C: Cluster>(
    context: &Context<C>,
    object: &ImageListSubscription,
    checked: &Checked,
    plan: &Plan,
) -> Option<StepError> {
    for step in plan.steps.iter().filter(|step| step.is_import()) {
        if let Err(problem) = apply_step(context, object, checked, step).await {
            return Some(StepError { step: step.to_string(), problem });
        }
    }
    None
}

/// Does all other steps, which do not need each other. To be done once the images' passes know the list in force: an
/// image that is deleted is looked at at once, and must know why.
pub(super) async fn follow<C: Cluster>(
    context: &Context<C>,
    object: &ImageListSubscription,
    checked: &Checked,
    plan: &Plan,
) -> Vec<StepError> {
    let mut failed = Vec::new();
    for step in plan.steps.iter().filter(|step| !step.is_import()) {
        if let Err(problem) = apply_step(context, object, checked, step).await {
            failed.push(StepError { step: step.to_string(), problem });
        }
    }
    failed
}

async fn apply_step<C: Cluster>(
    context: &Context<C>,
    object: &ImageListSubscription,
    checked: &Checked,
    step: &Step,
) -> Result<(), StepProblem> {
    let (namespace, name) = (&checked.namespace, &checked.name);
    match step {
        Step::SetMemoryAside(_) => drop(context.volume.set_state_aside(&ListMemory::path(checked)?)?),
        Step::StoreList { version, digest, message } => {
            context.volume.store_list(namespace, name, version, &hex::encode(digest.as_bytes()), message)?;
        }
        Step::Remember(memory) | Step::RememberLearned(memory) => {
            context.volume.write_state(&ListMemory::path(checked)?, memory)?;
        }
        Step::Finalize(held) => context.cluster.finalize::<ImageListSubscription>(&checked.key, *held).await?,
        Step::ApplyImage(identifier) => context.cluster.apply_image(object, identifier).await?,
        Step::DeleteImage(key) => context.cluster.delete_image(key).await?,
    }
    Ok(())
}
