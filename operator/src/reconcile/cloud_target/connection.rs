//! The connection to a target's cloud, with the credentials and the certificates from Secrets.

use std::sync::Arc;

use super::check::{Checked, CheckedCloud};
use crate::cloud::Connection;
use crate::opennebula;
use crate::reconcile::source::{SourceError, cloud_certificates, opennebula_session};
use crate::store::ResourceStore;

/// Reads the Secrets of a target.
pub(super) async fn cloud_connection<S: ResourceStore>(
    store: &S,
    checked: &Checked,
) -> Result<Arc<dyn Connection>, SourceError> {
    let Checked { key, endpoint, secret, tls, cloud, .. } = checked;
    match cloud {
        CheckedCloud::OpenNebula(settings) => {
            let session = opennebula_session(store, &key.namespace, endpoint, secret).await?;
            let certificates = cloud_certificates(store, &key.namespace, endpoint, tls).await?;
            let mut connection = opennebula::transport::Connection::new(endpoint.clone(), session);
            (connection.authorities, connection.identity) = (certificates.authorities, certificates.identity);
            Ok(Arc::new(opennebula::Target { connection, settings: settings.clone() }))
        }
    }
}
