//! The cloud and its images, as they were read.

use jiff::Timestamp;

use super::check::Checked;
use super::fingerprint::fingerprint;
use crate::opennebula::carry_over::{Cloud, Publisher, Request, Snapshot};
use crate::opennebula::transport::Connection;
use crate::opennebula::{Client, OneError};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::Session;
use crate::store::ResourceStore;

/// What was read of the cloud.
#[derive(Debug)]
pub(super) enum Pool {
    /// It was not read.
    Unread,
    /// The cloud, and its images.
    Read(Cloud, Snapshot),
    /// It could not be read.
    Failed(OneError),
}

/// Reads the cloud for these requests.
pub(super) async fn read<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    connection: &Connection,
    requests: &[Request],
    session: &mut Session,
    now: Timestamp,
) -> Pool {
    let fingerprint = fingerprint(connection, checked);
    if !session.is_with(&fingerprint) {
        match Client::new(connection.clone()) {
            Ok(client) => {
                session.publisher =
                    Some((fingerprint, Publisher::new(counted(context, client), checked.settings.clone())));
            }
            Err(error) => return Pool::Failed(error),
        }
    }
    let Some((_, publisher)) = &session.publisher else { return Pool::Unread };
    match publisher.read(requests, now).await {
        Ok((cloud, snapshot)) => Pool::Read(cloud, snapshot),
        Err(error) => Pool::Failed(error),
    }
}

/// A client that makes changes only while the permit is valid, and whose calls are counted.
fn counted<S: ResourceStore>(context: &Context<S>, client: Client) -> Client {
    client.with_permit(context.permit.clone()).with_metrics(context.metrics.clone())
}
