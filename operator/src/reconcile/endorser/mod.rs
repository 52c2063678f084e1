//! The report of an `Endorser`: nothing is done for it but to tell how it stands.

mod check;
mod report;

use jiff::Timestamp;

pub use self::check::{check, revoked};
use super::cluster::{Cluster, ClusterError, ObjectKey};
use super::context::Context;
use super::finish::{finish, stalled};
use crate::api::{Endorser, ImageListSubscription};

/// One pass over an endorser. Returns when to come back though nothing changes.
pub async fn reconcile<C: Cluster>(
    context: &Context<C>,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<Timestamp>, ClusterError> {
    let Some(object) = context.cluster.get::<Endorser>(key) else { return Ok(None) };
    let rule = match check(&object) {
        Ok(rule) => rule,
        Err(error) => return stalled(context, &*object, &error, now).await,
    };
    let subscriptions = context.cluster.list::<ImageListSubscription>(&key.namespace);
    let anchors = context.anchors.current();
    let report = report::report(&object, &rule, &subscriptions, &anchors, now);
    finish(context, &*object, report).await
}
