//! Carries out the plan. Decides nothing.

use std::path::PathBuf;

use jiff::Timestamp;

use super::announce;
use super::check::Checked;
use super::observed::Observed;
use super::plan::{Plan, Step};
use crate::api::{CachedImage, CloudTarget};
use crate::cache::{DownloadRequest, Volume};
use crate::digest::ContentDigest;
use crate::events::Veto;
use crate::imagelist::SourceUrl;
use crate::reconcile::context::Context;
use crate::reconcile::source::image_source;
use crate::reconcile::step::{StepError, StepProblem};
use crate::store::ResourceStore;

/// The results of the steps.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// The error of the step that failed; the steps after it were not done.
    pub failed: Option<StepError>,
    /// The number of steps that were done.
    pub done: usize,
    /// The path of the version that was published in this pass.
    pub published: Option<PathBuf>,
}

/// Does the steps in order: the old version is archived only after the new one is published. Stops at the first error;
/// the next pass observes and plans again.
pub(super) async fn apply<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    now: Timestamp,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let announced = announce::announce(context, checked, observed, &observed.entries, now);
    if outcomes.failed("announce what an earlier pass did", announced) {
        return outcomes;
    }
    let mut changes = plan.steps.iter().any(Step::changes_cache);
    for step in &plan.steps {
        if step.changes_cache() && std::mem::take(&mut changes) {
            let asked = announce::ask(context, checked, observed, plan, now).await;
            if outcomes.failed(&step.to_string(), asked) {
                break;
            }
        }
        // Nothing reads the volume for this object any more when it is gone.
        if matches!(step, Step::Finalize(false))
            && outcomes.failed("announce", announce_changes(context, checked, observed, now))
        {
            break;
        }
        match apply_step(context, checked, observed, step, now).await {
            Ok(published) => outcomes.published = published.or(outcomes.published),
            Err(problem) => {
                outcomes.failed = Some(StepError { step: step.to_string(), problem });
                break;
            }
        }
        outcomes.done += 1;
    }
    if plan.steps.iter().take(outcomes.done).any(Step::changes_cache) {
        outcomes.failed("announce", announce_changes(context, checked, observed, now));
    }
    outcomes
}

/// Announces what the steps changed on the volume.
fn announce_changes<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    now: Timestamp,
) -> Result<(), StepProblem> {
    if !context.events.are_wanted() {
        return Ok(());
    }
    announce::announce(context, checked, observed, &context.volume.entries(&checked.image)?, now)
}

impl Outcomes {
    /// Records the failure of a step. The first one counts. Whether it failed.
    fn failed(&mut self, step: &str, result: Result<(), StepProblem>) -> bool {
        let Err(problem) = result else { return false };
        self.failed.get_or_insert(StepError { step: step.to_owned(), problem });
        true
    }

    /// The veto of a handler that kept a version out of the cache, or in it.
    pub(super) fn veto(&self) -> Option<&Veto> {
        self.failed.as_ref().and_then(StepError::veto)
    }
}

async fn apply_step<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    step: &Step,
    now: Timestamp,
) -> Result<Option<PathBuf>, StepProblem> {
    match step {
        Step::Finalize(held) => context.store.set_finalizer::<CachedImage>(&checked.key, *held).await?,
        Step::ForgetJob(key) => {
            context.downloads.let_go(&checked.key);
            context.jobs.forget(key);
        }
        Step::CancelJob(key) => {
            if context.downloads.let_go(&checked.key) {
                context.jobs.cancel(key);
            }
        }
        Step::StartDownload { digest, size, url } => {
            start_download(context, checked, observed, (*digest, *size, url)).await?;
        }
        Step::Publish { version, blob, returns: _ } => {
            let (image, version, blob) = (checked.image.clone(), version.clone(), blob.clone());
            let publish = move |volume: &Volume| volume.publish(&image, &version, &blob);
            let path = context.volume.blocking("publish an image on", publish).await?;
            context.downloads.let_go(&checked.key);
            return Ok(Some(path));
        }
        Step::Archive(entry) => {
            let (image, entry) = (checked.image.clone(), entry.clone());
            context.volume.blocking("archive an image on", move |volume| volume.archive(&image, &entry, now)).await?;
        }
        Step::RemoveArchived(entry) => {
            let (image, entry) = (checked.image.clone(), entry.clone());
            let remove = move |volume: &Volume| volume.remove_archived(&image, &entry);
            context.volume.blocking("remove an archived image on", remove).await?;
        }
    }
    Ok(None)
}

async fn start_download<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    (digest, size, url): (ContentDigest, Option<u64>, &SourceUrl),
) -> Result<(), StepProblem> {
    let (list, trust) = (observed.list.as_deref(), &context.settings.trust_directory);
    let source = image_source(&*context.store, &checked.key.namespace, list, url, trust).await?;
    let namespace = checked.image.namespace.clone();
    let sha1 = is_sha1_compared(context, checked, observed);
    let request = DownloadRequest { namespace, digest, size, source, sha1 };
    context.downloads.want(&checked.key, request.key());
    // This download starts now, so it is not tried again in this run.
    context.tried_anew.take(&checked.key);
    context.jobs.start(request);
    Ok(())
}

/// Whether a cloud that the image names compares SHA-1.
fn is_sha1_compared<S: ResourceStore>(context: &Context<S>, checked: &Checked, observed: &Observed) -> bool {
    observed.targets.named.iter().any(|name| {
        let target = context.store.get::<CloudTarget>(&checked.key.sibling(name));
        target.is_some_and(|target| target.spec.r#type.compares_sha1())
    })
}
