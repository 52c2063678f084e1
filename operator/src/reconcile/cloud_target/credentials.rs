//! The content of a target's Secrets, kept in memory while the target is held. It is never written to disk.
//!
//! The objects of a namespace, or of a file, are deleted in any order, and nothing holds a Secret. So a target that
//! must still take images out of circulation uses the content that was read before. It is used for nothing else.

use std::sync::Arc;

use super::check::Checked;
use crate::cloud::Connection;
use crate::reconcile::exchange::{Credentials, Known};
use crate::reconcile::source::SourceError;
use crate::store::StoreError;

/// The access to a cloud.
#[derive(Debug)]
pub(super) enum Access {
    /// With the current Secrets.
    Given(Arc<dyn Connection>),
    /// With the previous content of the Secrets, because they can no longer be read.
    Before(Arc<dyn Connection>, SourceError),
    /// No access.
    Refused(SourceError),
}

impl Access {
    /// The connection, with the current or the previous Secrets.
    pub(super) fn connection(&self) -> Option<&Arc<dyn Connection>> {
        match self {
            Self::Given(connection) | Self::Before(connection, _) => Some(connection),
            Self::Refused(_) => None,
        }
    }
}

impl Credentials {
    /// Sets the result of reading the Secrets. The content is kept while the target's object is held.
    pub(super) fn take(
        &mut self,
        checked: &Checked,
        held: bool,
        read: Result<Arc<dyn Connection>, SourceError>,
    ) -> Access {
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

/// Whether a Secret is gone, or the permission to read it, which may be deleted with the namespace.
fn is_lost(error: &SourceError) -> bool {
    match error {
        SourceError::SecretNotFound { .. } | SourceError::Store(StoreError::Denied { .. }) => true,
        SourceError::SecretInvalid { .. }
        | SourceError::CredentialsInvalid { .. }
        | SourceError::NotAllowed { .. }
        | SourceError::Store(_) => false,
    }
}
