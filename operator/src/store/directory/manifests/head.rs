//! `apiVersion` and `kind` of an object.

use serde_json::Value;

use super::origin::{Origin, Refusal};
use crate::api::{GROUP, VERSION};
use crate::text::nearest;
use crate::yaml::describe;

/// The kinds of this group.
const KINDS: [&str; 4] = ["CachedImage", "CloudTarget", "Endorser", "ImageListSubscription"];

/// `apiVersion` and `kind` of an object; `None` if it has neither and belongs to a chart or a kustomization.
pub(super) fn head(value: &Value, origin: Origin<'_>) -> Result<Option<(String, String)>, Refusal> {
    let Value::Object(object) = value else {
        let expected = "expected an object with apiVersion, kind, metadata and spec";
        let hint = if value.is_array() { "; write each item as a document, with --- between them" } else { "" };
        return Err(Refusal::at("", format!("{expected}, found {}{hint}", describe(value))));
    };
    let is_kustomization = origin.file.file_stem().is_some_and(|name| name.eq_ignore_ascii_case("kustomization"));
    if !(object.contains_key("apiVersion") && object.contains_key("kind")) && (origin.in_chart || is_kustomization) {
        return Ok(None);
    }
    let field = |name: &str, example: &str| match object.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(other) => Err(Refusal::at(name, format!("expected text, such as {example}, found {}", describe(other)))),
        None => {
            let meant = object.keys().find(|key| nearest(key, std::iter::once(name)).is_some());
            let found = meant.map_or("none".to_owned(), String::clone);
            let place = meant.map(String::as_str).unwrap_or_default();
            let message = format!("expected the field {name}, such as {example}, found {found}");
            Err(Refusal { key: true, ..Refusal::at(place, message) })
        }
    };
    let version = field("apiVersion", &format!("{GROUP}/{VERSION}"))?;
    Ok(Some((version, field("kind", "ImageListSubscription")?)))
}

/// Whether an object belongs to another program: its API group is not similar to ours, and its kind is not one of ours.
pub(super) fn is_others(version: &str, kind: &str) -> bool {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let near = |text: &str| nearest(text, std::iter::once(GROUP)).is_some() || text.contains("vmcatcher");
    group != GROUP && !near(group) && !near(version) && !KINDS.contains(&kind)
}

/// Checks that an object has this API version and an existing kind.
pub(super) fn check_head(version: &str, kind: &str) -> Result<(), Refusal> {
    let ours = format!("{GROUP}/{VERSION}");
    if version != ours {
        return Err(Refusal::at("apiVersion", format!("expected {ours}, found {version}")));
    }
    if !KINDS.contains(&kind) {
        let meant = nearest(kind, KINDS.into_iter()).map(|meant| format!("; did you mean {meant}?"));
        let message = format!("expected {}, found {kind}{}", KINDS.join(", "), meant.unwrap_or_default());
        return Err(Refusal::at("kind", message));
    }
    Ok(())
}
