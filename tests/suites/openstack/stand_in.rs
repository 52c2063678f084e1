//! Traffic recorded with real servers, replayed against the stand-in: it answers as they did.

mod directions;
mod faults;

use std::collections::{BTreeMap, BTreeSet};

use harness::openstack::{Answer, Request, Service, World};
use serde_json::{Value, json};

const RECORDED: &str = include_str!("../../data/openstack/glance-33.0.0_keystone-30.0.0.jsonl");
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

/// One exchange.
struct Recording {
    name: String,
    request: Request,
    response: Answer,
}

/// The bytes that recorded uploads consisted of, where there were too many to record.
fn pattern(size: u64) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(7 * at % 251).unwrap()).collect()
}

fn body(recorded: &Value) -> Vec<u8> {
    let text = recorded["text"].as_str().or(recorded["body_text"].as_str());
    match (&recorded["json"], text, recorded["body_bytes"].as_u64()) {
        // Bytes that are no text were recorded as Latin-1.
        (Value::Null, Some(text), _) if recorded["status"] == 206 => {
            text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
        }
        (Value::Null, Some(text), _) => text.as_bytes().to_vec(),
        (Value::Null, None, Some(size)) => pattern(size),
        (Value::Null, None, None) => Vec::new(),
        (json, ..) => json.to_string().into_bytes(),
    }
}

fn recordings() -> Vec<Recording> {
    let read = |line: &str| {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let (request, response) = (&recorded["request"], &recorded["response"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let sent = request["headers"].as_object().unwrap();
        let headers = response["headers"].as_array().unwrap();
        Recording {
            name: text(&recorded["name"]),
            request: Request {
                service: if request["service"] == "image" { Service::Image } else { Service::Identity },
                method: text(&request["method"]),
                target: text(&request["path"]),
                headers: sent.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect(),
                body: body(request),
            },
            response: Answer {
                status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
                headers: headers.iter().map(|header| (text(&header[0]), text(&header[1]))).collect(),
                body: body(response),
            },
        }
    };
    RECORDED.lines().map(read).collect()
}

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
fn telling(answer: &Answer) -> Value {
    let headers: BTreeMap<String, String> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .filter(|(name, _)| HEADERS.contains(&name.as_str()))
        .collect();
    let text = String::from_utf8_lossy(&answer.body);
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(json) if json.is_object() => comparable(json),
        _ => json!(text.split("  Failed validating").next().unwrap().trim_end()),
    };
    json!({"status": answer.status, "headers": headers, "body": body})
}

/// The stand-in gets the recorded requests in their order. What it did not see happen is told by [`directions`].
#[test]
fn it_answers_as_recorded() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 237);
    let mut world = World::new("http://127.0.0.1:15000", "http://127.0.0.1:19292");
    directions::setting(&mut world);
    let (mut compared, mut left_out, mut differences) = (0, BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for recording in &recordings {
        directions::before(&mut world, &recording.name);
        directions::announce(&mut world, &recording.request, &recording.response);
        let answer = world.answer(&recording.request);
        world.advance(1);
        if let Some(reason) = directions::left_out(&recording.name) {
            left_out.entry(reason).or_default().push(&recording.name);
            continue;
        }
        compared += 1;
        let (expected, found) = (telling(&recording.response), telling(&answer));
        if expected != found {
            differences.push(format!("{}\n  recorded {expected}\n  found    {found}", recording.name));
        }
    }
    eprintln!("{compared} exchanges compared; left out: {left_out:?}");
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}
