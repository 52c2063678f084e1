//! Asks the server of a list, and uses nothing of its answer.

use jiff::Timestamp;

use super::check::check;
use super::fetched::Fetched;
use super::observe::fetch;
use crate::api::{ImageListSubscription, Kind};
use crate::reconcile::context::Context;
use crate::reconcile::probe::{Probed, Trouble, server};
use crate::store::ResourceStore;

/// Fetches the list without a condition. `None` if the subscription is suspended, or cannot work.
pub(in crate::reconcile) async fn probe<S: ResourceStore>(
    context: &Context<S>,
    object: &ImageListSubscription,
    clock: impl Fn() -> Timestamp,
) -> Option<Probed> {
    let checked = check(object, &context.settings).ok().filter(|checked| !checked.suspend)?;
    let (fetched, server_time) = fetch(context, &checked, None, None).await;
    let trouble = match fetched {
        Fetched::Failed(problem) => Some(Trouble { reason: problem.reason, message: problem.message }),
        Fetched::NotAsked | Fetched::NotModified | Fetched::Message(_) => None,
    };
    let (key, server) = (checked.key.clone(), server(checked.url.url()));
    Some(Probed { kind: Kind::Subscription, key, server, server_time, asked_at: clock(), trouble })
}
