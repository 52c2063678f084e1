//! The accepted lists of a subscription, verified again from the volume. Its server is not asked, nothing is written.

use jiff::Timestamp;

use super::check::check;
use super::schedule::FetchTrigger;
use super::verification::every_check;
use super::{judge, observe, plan};
use crate::api::{ImageListSubscription, ObjectKey};
use crate::imagelist::ImageId;
use crate::reconcile::check::SpecError;
use crate::reconcile::context::Context;
use crate::reconcile::exchange::ListInForce;
use crate::store::ResourceStore;
use crate::trust::Check;

/// The lists of a subscription, as a pass would hand them to the passes of its images.
#[derive(Debug)]
pub struct KeptLists {
    /// The list in force, with all older lists that are still valid.
    pub list: ListInForce,
    /// Why the list in force cannot be verified again; `None` if it was. Nothing new of it is downloaded then.
    pub frozen: Option<String>,
}

/// Verifies the stored lists of a subscription again, by the same rules as a pass. The entries of `identifier` are kept,
/// whether the subscription selects the image or not. `None` if the subscription does not exist, or if no list of it is
/// in force. Fails if its spec is invalid.
pub async fn kept_lists<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    identifier: &ImageId,
    now: Timestamp,
) -> Result<Option<KeptLists>, SpecError> {
    let Some(object) = context.store.get::<ImageListSubscription>(key) else { return Ok(None) };
    let checked = check(&object, &context.settings)?;
    let mut observed = observe::observe(context, &object, &checked, FetchTrigger::Never, now).await;
    observed.asked_for = Some(identifier.to_string());
    let (observed, judged) = judge::judge(context, &checked, observed, now).await;
    let plan = plan::plan(&checked, &observed, judged, now);
    let frozen = plan.frozen.map(|refusal| refusal.message);
    Ok(plan.list.map(|list| KeptLists { list, frozen }))
}

/// The checks of a stored list, as `list verify` shows them.
#[derive(Debug, Clone)]
pub struct KeptChecks {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Why the list would be refused now; `None` if it would be accepted.
    pub refusal: Option<String>,
}

/// Makes every check of the list in force again, as if it came now and were the first one. `None` if the subscription
/// does not exist, or if its list is not on the volume. Fails if its spec is invalid.
pub async fn kept_checks<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<KeptChecks>, SpecError> {
    let Some(object) = context.store.get::<ImageListSubscription>(key) else { return Ok(None) };
    let checked = check(&object, &context.settings)?;
    let observed = observe::observe(context, &object, &checked, FetchTrigger::Never, now).await;
    let Some(document) = observed.stored.clone() else { return Ok(None) };
    let memory = context
        .client
        .budget()
        .take(&checked.key.namespace, judge::room(&document).saturating_add(judge::BESIDES))
        .await;
    let work = memory.work(move || {
        let (checks, outcome) = every_check(&checked, &observed, &judge::read(&document)?, now);
        Some(KeptChecks { checks, refusal: outcome.err().map(|refusal| refusal.message) })
    });
    Ok(work.await)
}
