//! The reconcile of a `CloudTarget`: one pass over its cloud for all images that want something of it.
//!
//! What to do there is decided by [`crate::opennebula::carry_over`]: one read of the image pool, a plan, its steps.

mod apply;
mod check;
mod clock;
mod conversions;
mod credentials;
mod departure;
mod hand_over;
mod observe;
mod plan;
mod refusal;
mod report;
mod request;

use std::collections::BTreeSet;

use jiff::Timestamp;

use self::check::check;
pub(super) use self::check::checked_endpoint;
use self::departure::Departure;
use super::context::Context;
use super::finish::{finish, stalled};
use crate::api::{CloudTarget, ImageListSubscription, ObjectKey};
use crate::store::{Cluster, ClusterError};

/// One pass over a target. Returns when to come back though nothing changes.
pub async fn reconcile<C: Cluster>(
    context: &Context<C>,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<Timestamp>, ClusterError> {
    let _timed = context.metrics.pass("CloudTarget");
    let Some(object) = context.cluster.get::<CloudTarget>(key) else {
        context.publications.forget(key);
        apply::want_conversions(context, key, BTreeSet::new());
        return Ok(None);
    };
    let departure = departure::look(context, &object, now);
    match &departure {
        Departure::Free => {
            apply::want_conversions(context, key, BTreeSet::new());
            departure::let_go(context, &object).await?;
            return Ok(None);
        }
        Departure::Stays { unheld: true, .. } => context.cluster.finalize::<CloudTarget>(key, true).await?,
        Departure::Stays { unheld: false, .. } | Departure::Owes { .. } => {}
    }
    let checked = match check(&object, &context.settings.instance) {
        Ok(checked) => checked.by_clock(is_clock_doubted(context, key, now)),
        Err(error) => return stalled(context, &*object, &error, now).await,
    };
    let session = context.publications.session(key);
    let mut session = session.lock().await;
    let observed = observe::observe(context, &object, &checked, departure, &mut session.credentials, now).await;
    let plan = plan::plan(&checked, &observed, now);
    let outcomes = apply::apply(context, &checked, &observed, &plan, &mut session, now).await;
    let report = report::report(&checked, &observed, &plan, &outcomes, now);
    context.publications.tell(key, report.standings, report.importing);
    finish(context, &*object, report.report).await
}

fn is_clock_doubted<C: Cluster>(context: &Context<C>, key: &ObjectKey, now: Timestamp) -> bool {
    let subscriptions = context.cluster.list::<ImageListSubscription>(&key.namespace);
    clock::is_doubted(subscriptions.iter().map(|subscription| &**subscription), now)
}
