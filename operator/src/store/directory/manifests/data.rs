//! Secrets and ConfigMaps of a folder. Error messages never include their values.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::Value;

use crate::store::{ConfigMapData, SecretData};
use crate::text::nearest;
use crate::yaml::{Step, describe};

/// The fields of both kinds, besides those of all objects.
const FIELDS: [&str; 5] = ["type", "immutable", "data", "stringData", "binaryData"];

/// Why one is refused: the path of the error and the message.
pub(super) type Fault = (Vec<Step>, String);

/// The entries of a Secret.
pub(super) fn secret(value: Value) -> Result<SecretData, Fault> {
    if value.get("sops").is_some() {
        let message = "expected a Secret that can be read, found one that SOPS has encrypted: decrypt it first";
        return Err((Vec::new(), message.to_owned()));
    }
    check(&value)?;
    let secret: Secret = serde_json::from_value(value).map_err(|_| not_encoded("data"))?;
    let mut secret = SecretData::from(secret);
    // The author of this folder writes both the Secret and the objects that refer to it, so no other permission is
    // needed.
    secret.allowed_hosts.get_or_insert_with(|| "*".to_owned());
    Ok(secret)
}

/// The entries of a `ConfigMap`.
pub(super) fn config_map(value: Value) -> Result<ConfigMapData, Fault> {
    check(&value)?;
    let map: ConfigMap = serde_json::from_value(value).map_err(|_| not_encoded("binaryData"))?;
    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0));
    let text = map.data.unwrap_or_default().into_iter().map(|(name, text)| (name, text.into_bytes()));
    Ok(binary.chain(text).collect())
}

fn not_encoded(field: &str) -> Fault {
    let message = "expected each value in base64, found one that is not; plain text belongs to stringData of a Secret";
    (vec![Step::Field(field.to_owned())], message.to_owned())
}

/// Checks that there are no other fields and that all values are text.
fn check(value: &Value) -> Result<(), Fault> {
    let field = |name: &str| Step::Field(name.to_owned());
    let others = ["apiVersion", "kind", "metadata"];
    if let Some(kind) = value.get("type").filter(|kind| !kind.is_string() && !kind.is_null()) {
        return Err((vec![field("type")], format!("expected text, found {}", describe(kind))));
    }
    for (name, entries) in value.as_object().into_iter().flatten() {
        if !FIELDS.contains(&name.as_str()) && !others.contains(&name.as_str()) {
            let meant = nearest(name, FIELDS.into_iter()).map(|meant| format!("; did you mean {meant}?"));
            let message = format!("expected {}, found this field{}", FIELDS.join(", "), meant.unwrap_or_default());
            return Err((vec![field(name)], message));
        }
        if !name.to_ascii_lowercase().ends_with("data") || name == "metadata" || entries.is_null() {
            continue;
        }
        let Some(entries) = entries.as_object() else {
            return Err((vec![field(name)], "expected names with texts, found something else".to_owned()));
        };
        if let Some((entry, _)) = entries.iter().find(|(_, text)| !text.is_string()) {
            let message = "expected text, found something else; write it between quotes".to_owned();
            return Err((vec![field(name), field(entry)], message));
        }
    }
    Ok(())
}
