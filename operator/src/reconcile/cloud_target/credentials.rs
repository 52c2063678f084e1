//! What was read of a target's Secrets: kept in memory, and never on disk, for as long as the target is held.
//!
//! A namespace's objects, or all those of a file, are deleted in any order, and nothing holds a Secret. What its target
//! owes by then is done with what was read before: it is good for taking images out of circulation and for nothing else.

use super::check::Checked;
use crate::opennebula::transport::Connection;
use crate::reconcile::exchange::{Credentials, Known};
use crate::reconcile::source::SourceError;
use crate::store::StoreError;

/// How a cloud can be reached.
#[derive(Debug)]
pub(super) enum Access {
    /// As its Secrets say.
    Given(Connection),
    /// Its Secrets are lost; as they said before.
    Before(Connection, SourceError),
    /// Not at all.
    Refused(SourceError),
}

impl Access {
    /// How, whoever said so.
    pub(super) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Given(connection) | Self::Before(connection, _) => Some(connection),
            Self::Refused(_) => None,
        }
    }
}

impl Credentials {
    /// Takes what a pass has read. It is kept while the target's object is held.
    pub(super) fn take(&mut self, checked: &Checked, held: bool, read: Result<Connection, SourceError>) -> Access {
        let of = (checked.endpoint.clone(), checked.secret.clone(), checked.tls.clone());
        if !held || self.0.as_ref().is_some_and(|known| known.of != of) {
            self.0 = None;
        }
        match (read, &self.0) {
            (Ok(connection), _) => {
                self.0 = held.then(|| Known { of, connection: connection.clone() });
                Access::Given(connection)
            }
            (Err(error), Some(known)) if is_lost(&error) => Access::Before(known.connection.clone(), error),
            (Err(error), _) => Access::Refused(error),
        }
    }
}

/// Whether a Secret is gone, or with it the right to read it, which may go with the namespace as well.
fn is_lost(error: &SourceError) -> bool {
    match error {
        SourceError::SecretNotFound { .. } | SourceError::Cluster(StoreError::Denied { .. }) => true,
        SourceError::SecretInvalid { .. } | SourceError::NotAllowed { .. } | SourceError::Cluster(_) => false,
    }
}
