//! The connection to a target's cloud, with the credentials and the certificates from Secrets.

use std::sync::Arc;

use super::check::{Checked, CheckedCloud, OpenStackAccess};
use crate::cloud::Connection;
use crate::reconcile::source::{SourceError, cloud_certificates, opennebula_session, openstack_credentials};
use crate::store::ResourceStore;
use crate::{opennebula, openstack};

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
            Ok(Arc::new(opennebula::Target { connection, settings: (**settings).clone() }))
        }
        CheckedCloud::OpenStack(settings, OpenStackAccess { region, interface, cloud }) => {
            let place = (&*key.namespace, &**secret);
            let (credentials, defaults) = openstack_credentials(store, place, endpoint, cloud.as_deref()).await?;
            let certificates = cloud_certificates(store, &key.namespace, endpoint, tls).await?;
            let mut connection = openstack::Connection::new(endpoint.clone(), credentials);
            (connection.authorities, connection.identity) = (certificates.authorities, certificates.identity);
            connection.region = region.clone().or(defaults.region);
            connection.interface = interface.or(defaults.interface).unwrap_or_default();
            Ok(Arc::new(openstack::Target { connection, settings: (**settings).clone() }))
        }
    }
}
