//! Parses objects and adds them to the tables by their keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::{CustomResourceExt, ResourceExt};
use serde_json::Value;

use super::origin::{Origin, Refusal};
use super::{data, definition};
use crate::api::{ObjectKey, Resource};
use crate::cache::SafeName;

/// The namespace of an object without one.
const DEFAULT_NAMESPACE: &str = "default";

/// Adds an object of this API group, or returns everything that is wrong with it.
pub(super) fn insert<K: Resource + CustomResourceExt>(
    table: &mut BTreeMap<ObjectKey, (K, PathBuf)>,
    value: &Value,
    origin: Origin<'_>,
) -> Result<(), Vec<Refusal>> {
    let mut unknown = Vec::new();
    // `status` is ignored, because only the program writes it.
    let note = |path: serde_ignored::Path<'_>| {
        let path = path.to_string();
        unknown.extend(
            (!["apiVersion", "kind", "status"].contains(&path.split('.').next().unwrap_or_default())).then_some(path),
        );
    };
    let read: Result<K, _> = serde_ignored::deserialize(value, note);
    let mut object = match read {
        Ok(object) if unknown.is_empty() => object,
        Ok(_) => {
            let message = format!("expected fields of this version, found {}", unknown.join(", "));
            return Err(refusals::<K>(value, &message));
        }
        Err(error) => return Err(refusals::<K>(value, &error.to_string())),
    };
    let key = key_of(&object, table, origin)?;
    object.meta_mut().namespace = Some(key.namespace.clone());
    table.insert(key, (object, origin.file.to_owned()));
    Ok(())
}

/// Everything in an object that does not fit the definition of its kind; the parser's message if nothing is found.
fn refusals<K: Resource + CustomResourceExt>(value: &Value, message: &str) -> Vec<Refusal> {
    let mut found = definition::faults(&K::crd(), value);
    if found.is_empty() {
        found.push(by_path::<K>(value, message));
    }
    found
}

/// The parser's message, with the path of the error.
fn by_path<K: Resource>(value: &Value, message: &str) -> Refusal {
    let error = serde_yaml::to_string(value).ok().and_then(|text| serde_yaml::from_str::<K>(&text).err());
    let Some(error) = error else { return Refusal::at("", message) };
    let place = error.location().map(|at| format!(" at line {} column {}", at.line(), at.column()));
    let words = error.to_string();
    Refusal::at("", words.strip_suffix(place.as_deref().unwrap_or_default()).unwrap_or(&words))
}

/// Adds a Secret or a `ConfigMap`.
pub(super) fn insert_data<T>(
    table: &mut BTreeMap<ObjectKey, (T, PathBuf)>,
    value: Value,
    origin: Origin<'_>,
    read: fn(Value) -> Result<T, data::Fault>,
) -> Result<(), Vec<Refusal>> {
    let metadata = value.get("metadata").cloned().unwrap_or_default();
    let object = kube::core::PartialObjectMeta::<k8s_openapi::api::core::v1::Secret> {
        metadata: serde_json::from_value(metadata)
            .map_err(|error| vec![Refusal::at("metadata", format!("expected the form of all objects: {error}"))])?,
        ..Default::default()
    };
    let data =
        read(value).map_err(|(path, message)| vec![Refusal { path, key: true, message, ..Refusal::default() }])?;
    let key = key_of(&object, table, origin)?;
    table.insert(key, (data, origin.file.to_owned()));
    Ok(())
}

/// The key of an object. Fails if another object has it.
fn key_of<T>(
    object: &impl ResourceExt,
    table: &BTreeMap<ObjectKey, (T, PathBuf)>,
    origin: Origin<'_>,
) -> Result<ObjectKey, Vec<Refusal>> {
    let name = object.meta().name.clone().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    for (field, text) in [("metadata.name", &name), ("metadata.namespace", &namespace)] {
        text.parse::<SafeName>().map_err(|error| vec![Refusal::at(field, error.to_string())])?;
    }
    let key = ObjectKey { namespace, name };
    match table.get(&key) {
        Some((_, other)) => {
            let other = if other == origin.file { "this file".to_owned() } else { other.display().to_string() };
            Err(vec![Refusal::at(
                "metadata.name",
                format!("expected one object of this kind called {key}, found another in {other}"),
            )])
        }
        None => Ok(key),
    }
}
