//! A digest of everything that a session with a cloud is made from. Pure.

use sha2::{Digest as _, Sha256};

use crate::cloud::Connection;
use crate::reconcile::exchange::{Fingerprint, Session};

impl Session {
    /// Whether it was made from these settings.
    pub(super) fn is_with(&self, fingerprint: &Fingerprint) -> bool {
        self.cloud.as_ref().is_some_and(|(own, _)| own == fingerprint)
    }
}

/// The digest of a connection, the secret included, and of the settings.
pub(super) fn fingerprint(connection: &dyn Connection) -> Fingerprint {
    let mut hash = Sha256::new();
    connection.digest(&mut |bytes| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    });
    hash.finalize().into()
}
