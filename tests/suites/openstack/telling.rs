//! What an answer says, without what differs from one cloud to the next.

use std::collections::{BTreeMap, BTreeSet};

use harness::openstack::Answer;
use serde_json::{Value, json};

/// What differs from one cloud to the next: times, and ids that a server chooses and no client repeats.
const CHANCE: [&str; 8] = [
    "created_at",
    "updated_at",
    "expires_at",
    "issued_at",
    "audit_ids",
    "request_id",
    "os_glance_import_task",
    "password_expires_at",
];
/// Headers that say something.
const HEADERS: [&str; 5] = ["content-type", "content-md5", "content-range", "location", "www-authenticate"];

/// Without what is chance, and with lists whose order means nothing in order.
fn comparable(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let is_endpoint_or_service = object.contains_key("interface") || object.contains_key("endpoints");
            let is_task = object.get("type") == Some(&json!("api_image_import"));
            let kept = object.into_iter().filter(|(name, _)| {
                !CHANCE.contains(&name.as_str()) && !(name == "id" && (is_endpoint_or_service || is_task))
            });
            Value::Object(kept.map(|(name, value)| (name, comparable(value))).collect())
        }
        Value::Array(mut items)
            if items.iter().all(|item| item["name"].is_string() && item.as_object().unwrap().len() == 2) =>
        {
            items.sort_by_key(|role| role["name"].as_str().unwrap().to_owned());
            Value::Array(items)
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: BTreeSet<String> = items.iter().map(|item| item.as_str().unwrap().to_owned()).collect();
            json!(items)
        }
        Value::Array(items) => items.into_iter().map(comparable).collect(),
        other => other,
    }
}

/// Status, headers that say something, and the body. A mismatch with the schema ends with a part of the schema, which is left out.
pub(super) fn telling(answer: &Answer) -> Value {
    let headers: BTreeMap<String, String> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .filter(|(name, _)| HEADERS.contains(&name.as_str()))
        .collect();
    let text = String::from_utf8_lossy(&answer.body);
    let before = |text: &str| json!(text.split("Failed validating").next().unwrap().trim_end());
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut json) if json.is_object() => {
            if let Some(message) = json["message"].as_str() {
                json["message"] = before(message);
            }
            comparable(json)
        }
        _ => before(&text),
    };
    json!({"status": answer.status, "headers": headers, "body": body})
}
