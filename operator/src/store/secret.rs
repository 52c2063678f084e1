//! The content of a Secret or a `ConfigMap`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use secrecy::SecretSlice;

use super::ConfigMapData;
use crate::api::{ALLOW_PLAIN_HTTP, ALLOWED_HOSTS};

/// The type of a Secret without an explicit type.
pub(crate) const OPAQUE: &str = "Opaque";

/// A Secret. Its values are never in a log, a status or an error.
#[derive(Debug, Clone)]
pub struct SecretData {
    /// The field `type`. Secrets of other types (tokens of a `ServiceAccount`, registry credentials, Helm releases) are
    /// not meant for a source.
    pub kind: String,
    /// The annotation [`ALLOWED_HOSTS`].
    pub allowed_hosts: Option<String>,
    /// Whether the annotation [`ALLOW_PLAIN_HTTP`] is `true`.
    pub allow_plain_http: bool,
    /// The entries.
    pub entries: BTreeMap<String, SecretSlice<u8>>,
}

impl From<Secret> for SecretData {
    fn from(secret: Secret) -> Self {
        let annotation = |name: &str| secret.metadata.annotations.as_ref()?.get(name).cloned();
        let encoded = secret.data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0));
        let plain = secret.string_data.unwrap_or_default().into_iter().map(|(name, text)| (name, text.into_bytes()));
        Self {
            kind: secret.type_.filter(|kind| !kind.is_empty()).unwrap_or_else(|| OPAQUE.to_owned()),
            allowed_hosts: annotation(ALLOWED_HOSTS),
            allow_plain_http: annotation(ALLOW_PLAIN_HTTP).as_deref() == Some("true"),
            entries: encoded.chain(plain).map(|(name, bytes)| (name, bytes.into())).collect(),
        }
    }
}

/// The entries of a `ConfigMap`.
pub(super) fn config_map_data(map: ConfigMap) -> ConfigMapData {
    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0));
    let text = map.data.unwrap_or_default().into_iter().map(|(name, text)| (name, text.into_bytes()));
    binary.chain(text).collect()
}
