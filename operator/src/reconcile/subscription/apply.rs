//! Carries out the plan. Decides nothing.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::check::Checked;
use super::memory::ListMemory;
use super::plan::Plan;
use super::step::Step;
use crate::api::ImageListSubscription;
use crate::cache::CacheError;
use crate::fetch::Document;
use crate::imagelist::ListVersion;
use crate::reconcile::context::Context;
use crate::reconcile::step::{StepError, StepProblem};
use crate::store::ResourceStore;
use crate::trust::Sha256Digest;

/// Steps for images that are done at the same time: each waits for the disk, or for the API server.
const AT_ONCE: usize = 8;

/// The results of the steps.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// The error that prevented the import of the new list; the list before stays in force.
    pub import: Option<StepError>,
    /// The errors of the other steps, for images and the object itself.
    pub others: Vec<StepError>,
}

/// Does the steps that bring the new list into force. Stops at the first error; then the list before stays in force.
pub(super) async fn import<S: ResourceStore>(
    context: &Context<S>,
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

/// Does all other steps, which are independent of each other. Must be called after the images' passes can see the list
/// in force: a deleted image is reconciled at once, and needs the list to know why it is deleted.
pub(super) async fn follow<S: ResourceStore>(
    context: &Context<S>,
    object: &ImageListSubscription,
    checked: &Checked,
    plan: &Plan,
) -> Vec<StepError> {
    let mut failed = Vec::new();
    let steps = plan.steps.iter().filter(|step| !step.is_import());
    let (of_images, others): (Vec<_>, Vec<_>) = steps.partition(|step| step.is_of_image());
    for step in others {
        failed.extend(attempt(context, object, checked, step).await);
    }
    let mut running = FuturesUnordered::new();
    for step in of_images {
        if running.len() == AT_ONCE {
            failed.extend(running.next().await.flatten());
        }
        running.push(attempt(context, object, checked, step));
    }
    while let Some(ended) = running.next().await {
        failed.extend(ended);
    }
    failed
}

/// Does a step; returns its error.
async fn attempt<S: ResourceStore>(
    context: &Context<S>,
    object: &ImageListSubscription,
    checked: &Checked,
    step: &Step,
) -> Option<StepError> {
    let problem = apply_step(context, object, checked, step).await.err()?;
    Some(StepError { step: step.to_string(), problem })
}

async fn apply_step<S: ResourceStore>(
    context: &Context<S>,
    object: &ImageListSubscription,
    checked: &Checked,
    step: &Step,
) -> Result<(), StepProblem> {
    match step {
        Step::SetMemoryAside(_) => drop(context.volume.set_state_aside(&ListMemory::path(checked)?)?),
        Step::StoreList { version, digest, message } => {
            store(context, checked, (version, digest), message).await?;
        }
        Step::Remember(memory) | Step::RememberLearned(memory) => {
            context.volume.write_state(&ListMemory::path(checked)?, memory)?;
        }
        Step::Finalize(held) => context.store.set_finalizer::<ImageListSubscription>(&checked.key, *held).await?,
        Step::ApplyImage(identifier) => context.store.apply_image(object, identifier).await?,
        Step::DeleteImage(key) => context.store.delete_image(key).await?,
    }
    Ok(())
}

/// Stores the signed message of a list.
async fn store<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    (version, digest): (&ListVersion, &Sha256Digest),
    message: &Document,
) -> Result<(), StepProblem> {
    let (volume, namespace, name) = (context.volume.clone(), checked.namespace.clone(), checked.name.clone());
    let (version, digest, message) = (version.clone(), digest.digits(), message.clone());
    let memory = context.client.budget().take(&checked.key.namespace, message.size()).await;
    let stored = memory.work(move || {
        let unreadable = CacheError::io("read the new list for", volume.root());
        volume.store_list(&namespace, &name, &version, &digest, &message.read().map_err(unreadable)?)
    });
    stored.await?;
    Ok(())
}
