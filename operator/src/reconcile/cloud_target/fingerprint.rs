//! A digest of everything that a session with a cloud is made from. Pure.

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::check::Checked;
use crate::opennebula::transport::Connection;
use crate::reconcile::exchange::{Fingerprint, Session};

impl Session {
    /// Whether it was made from these settings.
    pub(super) fn is_with(&self, fingerprint: &Fingerprint) -> bool {
        self.publisher.as_ref().is_some_and(|(own, _)| own == fingerprint)
    }
}

/// The digest of a connection, the secret included, and of the settings.
pub(super) fn fingerprint(connection: &Connection, checked: &Checked) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    add(connection.endpoint.as_str().as_bytes());
    add(connection.session.expose_secret().as_bytes());
    if let Some(pem) = &connection.authorities {
        add(pem);
    }
    if let Some((certificate, key)) = &connection.identity {
        add(certificate);
        add(key.expose_secret().as_bytes());
    }
    add(format!("{:?}", checked.settings).as_bytes());
    hash.finalize().into()
}
