//! The reconciler of `ImageListSubscription`: fetches its newest list, accepts or refuses it, and creates its images.

mod announce;
mod apply;
mod beside;
mod check;
mod children;
mod clock;
mod envelope;
mod events;
mod fetched;
mod files;
mod judge;
mod kept;
mod look_back;
mod memory;
mod observe;
mod older;
mod plan;
mod probe;
mod problem;
mod published;
mod removal;
mod report;
mod repository;
mod schedule;
mod step;
mod stored;
#[cfg(test)]
mod tests;
mod verification;

use jiff::Timestamp;

pub(super) use self::check::check;
pub use self::check::format;
pub use self::children::LATE_AFTER;
pub use self::kept::{KeptChecks, KeptLists, kept_checks, kept_lists};
pub use self::memory::ListMemory;
use self::plan::Newest;
pub(super) use self::probe::probe;
pub use self::published::{Published, PublishedChecks, PublishedError, RequiredSigners};
pub use self::schedule::FetchTrigger;
use super::context::Context;
use super::finish::{finish, stalled};
use super::step::StepError;
use crate::api::{ImageListSubscription, Kind, ObjectKey};
use crate::store::{ResourceStore, StoreError};

/// One pass over a subscription. Returns the time of the next pass if nothing changes.
pub async fn reconcile<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    ask: FetchTrigger,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let _timed = context.metrics.pass("ImageListSubscription");
    let Some(object) = context.store.get::<ImageListSubscription>(key) else {
        context.lists.set(key.clone(), None);
        context.pending.set(key, None);
        return Ok(None);
    };
    let checked = match check(&object, &context.settings) {
        Ok(checked) => checked,
        Err(error) => return stalled(context, &*object, &error, now).await,
    };
    let observed = observe::observe(context, &object, &checked, ask, now).await;
    let (observed, judged) = judge::judge(context, &checked, observed, now).await;
    let plan = plan::plan(&checked, &observed, judged, now);
    if context.only_plans(Kind::Subscription, key, &plan) {
        hand_over(context, key, &plan, true);
        return Ok(None);
    }
    let import = apply::import(context, &object, &checked, &plan).await;
    hand_over(context, key, &plan, import.is_none());
    let others = match import {
        None => {
            let announced = announce::announce(context, &checked, &observed, &plan, now);
            let step = "announce the images of the list".to_owned();
            let mut failed: Vec<_> = announced.err().map(|problem| StepError { step, problem }).into_iter().collect();
            failed.extend(apply::follow(context, &object, &checked, &plan).await);
            failed
        }
        Some(_) => Vec::new(),
    };
    let outcomes = apply::Outcomes { import, others };
    let report = report::report(&checked, &observed, &plan, &outcomes, now);
    finish(context, &*object, report).await
}

/// Passes the list in force on to the passes of its images, and a message that is not in force to the next pass.
fn hand_over<S: ResourceStore>(context: &Context<S>, key: &ObjectKey, plan: &plan::Plan, imported: bool) {
    if imported {
        context.lists.set(key.clone(), plan.list.clone());
    }
    let in_force = matches!(plan.newest, Newest::InForce) && imported;
    context.pending.set(key, plan.message.clone().filter(|_| !in_force));
}
