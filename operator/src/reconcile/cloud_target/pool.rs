//! The cloud and its images, as they were read.

use jiff::Timestamp;

use super::fingerprint::fingerprint;
use crate::cloud::{AnyRequest, CloudError, Connection, Snapshot};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::Session;
use crate::store::ResourceStore;

/// What was read of the cloud.
#[derive(Debug)]
pub(super) enum Pool {
    /// It was not read.
    Unread,
    /// The cloud, and its images.
    Read(Box<dyn Snapshot>),
    /// It could not be read.
    Failed(CloudError),
}

/// Reads the cloud for these requests.
pub(super) async fn read<S: ResourceStore>(
    context: &Context<S>,
    connection: &dyn Connection,
    requests: &[AnyRequest],
    session: &mut Session,
    now: Timestamp,
) -> Pool {
    let fingerprint = fingerprint(connection);
    if !session.is_with(&fingerprint) {
        match connection.connect(context.permit.clone(), context.metrics.clone()) {
            Ok(cloud) => session.cloud = Some((fingerprint, cloud)),
            Err(error) => return Pool::Failed(error),
        }
    }
    let Some((_, cloud)) = &session.cloud else { return Pool::Unread };
    match cloud.read(requests, now).await {
        Ok(snapshot) => Pool::Read(snapshot),
        Err(error) => Pool::Failed(error),
    }
}
