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

/// Does the steps in their order. A list that cannot be kept does not come into force, and then nothing else is done;
/// the steps after that do not need each other.
pub(super) async fn apply<C: Cluster>(
    context: &Context<C>,
    object: &ImageListSubscription,
    checked: &Checked,
    plan: &Plan,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for step in &plan.steps {
        let Err(problem) = apply_step(context, object, checked, step).await else { continue };
        let failed = StepError { step: step.to_string(), problem };
        match step {
            Step::SetMemoryAside(_) | Step::StoreList { .. } | Step::Remember(_) => {
                outcomes.import = Some(failed);
                break;
            }
            Step::Finalize(_) | Step::ApplyImage(_) | Step::DeleteImage(_) => outcomes.others.push(failed),
        }
    }
    outcomes
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
        Step::Remember(memory) => context.volume.write_state(&ListMemory::path(checked)?, memory)?,
        Step::Finalize(held) => context.cluster.finalize::<ImageListSubscription>(&checked.key, *held).await?,
        Step::ApplyImage(identifier) => context.cluster.apply_image(object, identifier).await?,
        Step::DeleteImage(key) => context.cluster.delete_image(key).await?,
    }
    Ok(())
}
