//! Traffic recorded with real servers, replayed against both sides: the client reads every answer, and the stand-in
//! answers as they did.

mod directions;

use std::collections::BTreeMap;

use harness::opennebula::{Dialect, decode_call, encode_fault};
use serde_json::Value as Json;
use vmcatcher_operator::opennebula::xmlrpc::{Answer, Value, decode_answer, encode_call};
use vmcatcher_operator::opennebula::{OneError, document};

/// One exchange.
struct Recording {
    name: String,
    method: String,
    request: String,
    response: String,
}

const BOTH: [(Dialect, &str); 2] = [
    (Dialect::V5_12, include_str!("../../data/opennebula/5.12.12.jsonl")),
    (Dialect::V7_4, include_str!("../../data/opennebula/7.4.0.jsonl")),
];

fn recordings(text: &str) -> Vec<Recording> {
    let read = |line: &str| {
        let json: Json = serde_json::from_str(line).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Recording { name: text("name"), method: text("method"), request: text("request"), response: text("response") }
    };
    text.lines().map(read).collect()
}

#[test]
fn the_client_reads_every_recorded_answer() {
    for (_, text) in BOTH {
        let mut kinds = BTreeMap::new();
        for Recording { name, method, response, .. } in recordings(text) {
            if name == "malformed_empty_body" {
                assert!(decode_answer(&response).is_err(), "an HTML page with status 400");
                continue;
            }
            let answer = decode_answer(&response).unwrap_or_else(|error| panic!("{name}: {error}"));
            match (answer, method.as_str()) {
                (Answer::Success(Value::Text(text)), _) if method.ends_with("info") => {
                    read_document(&name, &method, &text);
                }
                (Answer::Success(Value::Integer(_) | Value::Text(_)), _) => {}
                (Answer::Failure(failure), _) => {
                    assert!(failure.text.starts_with("[one."), "{name}");
                    *kinds.entry(kind(&OneError::from_failure(failure))).or_insert(0) += 1;
                }
                (Answer::Fault { code, .. }, _) => assert!((-506..=-500).contains(&code), "{name}"),
                (other, _) => panic!("{name}: {other:?}"),
            }
        }
        // Every kind of refusal was recorded.
        let kinds: Vec<_> = kinds.into_keys().collect();
        let expected = [
            "Authentication",
            "Locked",
            "NameTaken",
            "NoSpace",
            "NotAuthorized",
            "NotFound",
            "Quota",
            "Refused",
            "Unreadable",
            "WrongState",
        ];
        assert_eq!(kinds, expected);
    }
}

fn kind(error: &OneError) -> String {
    let text = format!("{error:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

fn read_document(name: &str, method: &str, text: &str) {
    let read = match method {
        "one.image.info" => document::read_image(text).map(drop),
        "one.imagepool.info" => document::read_images(text).map(|pool| assert_eq!(pool.unreadable, [], "{name}")),
        "one.user.info" => document::read_user(text).map(drop),
        "one.userpool.info" => document::read_users(text).map(drop),
        "one.grouppool.info" => document::read_groups(text).map(drop),
        "one.datastorepool.info" => document::read_datastores(text).map(drop),
        _ => Ok(()),
    };
    read.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn the_client_writes_calls_as_recorded() {
    let mut counted = 0;
    for Recording { name, request, .. } in BOTH.into_iter().flat_map(|(_, text)| recordings(text)) {
        let Ok((method, parameters)) = decode_call(&request) else { continue };
        let again = decode_call(&encode_call(&method, &parameters)).unwrap();
        assert_eq!(again, (method, parameters), "{name}");
        counted += 1;
    }
    assert!(counted > 900, "{counted}");
}

/// The stand-in gets the recorded calls in their order. What it did not see happen (a VM that started, an image made
/// between two recordings) is told by [`directions`].
#[test]
fn the_stand_in_answers_as_recorded() {
    for (dialect, text) in BOTH {
        let recordings = recordings(text);
        let mut world = directions::setting(dialect, &recordings);
        let (mut compared, mut left_out) = (0, BTreeMap::<_, usize>::new());
        let mut differences = Vec::new();
        for (at, recording) in recordings.iter().enumerate() {
            directions::before(&mut world, &recordings, at);
            let call = decode_call(&recording.request);
            let answer = match &call {
                Ok((method, parameters)) => world.answer(method, parameters),
                Err(fault) => encode_fault(fault),
            };
            directions::after(&mut world, recording);
            if let Some(reason) = directions::left_out(recording) {
                *left_out.entry(reason).or_default() += 1;
                continue;
            }
            compared += 1;
            let (expected, found) =
                (directions::comparable(recording, &recording.response), directions::comparable(recording, &answer));
            if expected != found {
                differences.push(format!("{}\n  recorded {expected}\n  found    {found}", recording.name));
            }
        }
        eprintln!("{dialect:?}: {compared} exchanges compared; left out: {left_out:?}");
        assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    }
}
