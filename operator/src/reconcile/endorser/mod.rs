//! The reconciler of `Endorser`. It only reports the status.

mod anchors;
mod check;
mod crls;
mod keys;
mod report;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use self::anchors::OwnAnchorsError;
use self::anchors::own_anchors;
pub use self::check::{check, revoked};
pub use self::keys::complete;
pub use self::report::ends_soon;
use super::context::Context;
use super::finish::{finish, stalled};
use crate::api::{Endorser, ImageListSubscription, ObjectKey};
use crate::store::{ResourceStore, StoreError};

/// One pass over an endorser. Returns the time of the next pass if nothing changes.
pub async fn reconcile<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let _timed = context.metrics.pass("Endorser");
    let Some(object) = context.store.get::<Endorser>(key) else { return Ok(None) };
    let mut rule = match check(&object) {
        Ok(rule) => rule,
        Err(error) => return stalled(context, &*object, &error, now).await,
    };
    let subscriptions = context.store.list::<ImageListSubscription>(&key.namespace);
    keys::read_keys(&*context.store, &object, &mut rule).await;
    let anchors = match own_anchors(&*context.store, &object).await {
        Ok(own) => Ok(own.unwrap_or_else(|| context.anchors.current())),
        Err(error) => Err(error.to_string()),
    };
    let report = report::report(&object, &rule, &subscriptions, anchors.as_deref(), now);
    finish(context, &*object, report).await
}
