//! Asks a cloud, and uses nothing of its answer.

use jiff::Timestamp;

use super::check::{Checked, check};
use super::connection::cloud_connection;
use super::pool::{self, Pool};
use crate::api::{CloudTarget, Kind};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::Session;
use crate::reconcile::probe::{Probed, Trouble, server};
use crate::store::ResourceStore;

/// Logs in, and reads the images of the cloud as a pass does. `None` if the target is suspended, or cannot work.
pub(in crate::reconcile) async fn probe<S: ResourceStore>(
    context: &Context<S>,
    object: &CloudTarget,
    now: Timestamp,
) -> Option<Probed> {
    let checked = check(object, &context.settings.instance).ok().filter(|checked| !checked.suspend)?;
    let trouble = trouble(context, &checked, now).await;
    let (key, server) = (checked.key, server(&checked.endpoint));
    Some(Probed { kind: Kind::Target, key, server, server_time: None, asked_at: now, trouble })
}

async fn trouble<S: ResourceStore>(context: &Context<S>, checked: &Checked, now: Timestamp) -> Option<Trouble> {
    let connection = match cloud_connection(&*context.store, checked).await {
        Ok(connection) => connection,
        Err(error) => return Some(Trouble { reason: error.reason(), message: error.to_string() }),
    };
    match pool::read(context, &*connection, &[], &mut Session::default(), now).await {
        Pool::Failed(error) => Some(Trouble { reason: error.reason, message: error.message }),
        Pool::Unread | Pool::Read(_) => None,
    }
}
