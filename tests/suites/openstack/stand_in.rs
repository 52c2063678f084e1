//! Traffic recorded with real servers, replayed against the stand-in: it answers as they did.

mod directions;
mod faults;

use std::collections::BTreeMap;

use harness::openstack::{Answer, Request, Service, World};
use serde_json::Value;

use super::telling::telling;

const RECORDED: &str = include_str!("../../data/openstack/glance-33.0.0_keystone-30.0.0.jsonl");
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
