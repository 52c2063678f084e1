//! The reconciler of `CloudTarget`: one pass over its cloud for all images that name it.
//!
//! What is asked of the cloud is decided before it is read. The plan is that of the cloud's own module
//! ([`crate::cloud::Cloud`]): the pool is read once, whatever the number of images.

mod apply;
mod check;
mod clock;
mod connection;
mod conversions;
mod credentials;
mod deletion;
mod fingerprint;
mod hand_over;
mod hooks;
mod observe;
mod plan;
mod pool;
mod probe;
mod refusal;
mod report;
mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

use self::check::check;
pub(super) use self::check::checked_endpoint;
use self::deletion::Deletion;
use self::pool::Pool;
pub(super) use self::probe::probe;
use super::context::Context;
use super::finish::{finish, stalled};
use crate::api::{CloudTarget, ImageListSubscription, Kind, ObjectKey};
use crate::store::{ResourceStore, StoreError};

/// One pass over a target. Returns the time of the next pass if nothing changes.
pub async fn reconcile<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let _timed = context.metrics.pass("CloudTarget");
    let Some(object) = context.store.get::<CloudTarget>(key) else {
        context.publications.forget(key);
        apply::want_conversions(context, key, BTreeSet::new());
        return Ok(None);
    };
    let checked = check(&object, &context.settings.instance);
    let deletion = deletion::look(context, &object, now);
    // An object whose spec cannot work is held too: it may have images in the cloud.
    match &deletion {
        _ if context.dry_run.is_some() => {}
        Deletion::Free => {
            apply::want_conversions(context, key, BTreeSet::new());
            deletion::let_go(context, &object).await?;
            return Ok(None);
        }
        Deletion::Stays { unheld: true, .. } => context.store.set_finalizer::<CloudTarget>(key, true).await?,
        Deletion::Stays { unheld: false, .. } | Deletion::Blocked { .. } => {}
    }
    let checked = match checked {
        Ok(checked) => checked.by_clock(is_clock_doubted(context, key, now)),
        Err(error) => return stalled(context, &*object, &error, now).await,
    };
    let session = context.publications.session(key);
    let mut session = session.lock().await;
    let observed = observe::observe(context, &object, &checked, deletion, &mut session, now).await;
    let requests = plan::requests(&checked, &observed, now);
    let pool = match observed.access.connection() {
        Some(connection) if plan::is_due(&checked, &observed, &requests, now) => {
            pool::read(context, &**connection, &requests.for_cloud(), &mut session, now).await
        }
        Some(_) | None => Pool::Unread,
    };
    let plan = plan::plan(pool, now);
    if context.only_plans(Kind::Target, key, &format_args!("{requests}; {plan}")) {
        return Ok(None);
    }
    let outcomes = apply::apply(context, &checked, &observed, &requests, plan, &mut session, now).await;
    let report = report::report(&checked, &observed, &requests, &outcomes, now);
    context.publications.tell(key, report.statuses, report.importing);
    finish(context, &*object, report.report).await
}

fn is_clock_doubted<S: ResourceStore>(context: &Context<S>, key: &ObjectKey, now: Timestamp) -> bool {
    let subscriptions = context.store.list::<ImageListSubscription>(&key.namespace);
    clock::is_doubted(subscriptions.iter().map(|subscription| &**subscription), now)
}
