//! What is in a request, as the libraries of receivers read it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vmcatcher_operator::events::{ContentMode, Event, EventType, Sink as _, WebhookSettings, WebhookSink};

use super::receiver::{Answer, Receiver, Request};
use super::{SOURCE, events, is_whole, settings};

/// The key of the signatures, in base64.
const KEY: &str = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The Python that has the libraries.
fn python() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cloudevents/get");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The events as the libraries read them: the attributes and the data.
fn read_by_libraries(requests: &[Request]) -> Vec<Value> {
    let requests = requests.iter().map(|request| {
        let headers: serde_json::Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        json!({"headers": headers, "body": STANDARD.encode(&request.body), "secret": format!("whsec_{KEY}")})
    });
    let input = Value::Array(requests.collect()).to_string();
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("cloudevents/check.py"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Delivers signed events in a mode; what came.
async fn delivered(mode: ContentMode, events: &[Event]) -> Vec<Request> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, format!("whsec_{KEY}\n")).unwrap();
    let receiver = Receiver::start([Answer::status(200)]);
    let settings = WebhookSettings { mode, hmac_key: Some(key), ..settings(&receiver.url("/")) };
    let delivery = WebhookSink::new(settings, SOURCE.to_owned()).deliver(events).await;
    assert!(is_whole(&delivery, events), "{delivery:?}");
    receiver.requests()
}

#[tokio::test]
async fn the_libraries_of_receivers_read_events_in_both_modes_as_they_are() {
    let mut events = events(3);
    events[1].object.as_mut().unwrap().name = "a \"b\" 50% é".to_owned();
    events[2] = Event { event: EventType::Process, object: None, image: None, message: None, ..events[2].clone() };
    let content_types =
        [(ContentMode::Structured, "application/cloudevents+json"), (ContentMode::Binary, "application/json")];
    for (mode, content_type) in content_types {
        let requests = delivered(mode, &events).await;
        assert!(requests.iter().all(|request| request.header("content-type") == Some(content_type)));
        let found = read_by_libraries(&requests);
        assert_eq!(found.len(), events.len());
        for (found, event) in found.iter().zip(&events) {
            let attributes = &found["attributes"];
            assert_eq!(serde_json::from_value::<Event>(found["data"].clone()).unwrap(), *event, "{mode:?}");
            assert_eq!(attributes["specversion"], "1.0");
            assert_eq!(attributes["id"], event.id.to_string());
            assert_eq!(attributes["source"], SOURCE);
            assert_eq!(attributes["type"], format!("io.vmcatcher-operator.{}.after", event.event));
            assert_eq!(attributes["time"], "2026-11-29T18:00:00.123456+00:00");
            assert_eq!(attributes["datacontenttype"], "application/json");
            assert_eq!(attributes.get("subject").cloned(), event.object.as_ref().map(|o| Value::from(o.to_string())));
        }
    }
}

/// HMAC-SHA256 as RFC 2104 has it, for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([&padded(0x36), text].concat());
    Sha256::digest([padded(0x5c), inner.to_vec()].concat()).to_vec()
}

#[tokio::test]
async fn the_signature_is_over_the_id_the_time_and_the_body() {
    let before = Timestamp::now().as_second();
    for mode in [ContentMode::Structured, ContentMode::Binary] {
        let events = events(2);
        for (request, event) in delivered(mode, &events).await.iter().zip(&events) {
            let (id, time) = (request.header("webhook-id").unwrap(), request.header("webhook-timestamp").unwrap());
            assert_eq!(id, event.id.to_string());
            assert!((before..=Timestamp::now().as_second()).contains(&time.parse().unwrap()), "{time}");
            let signed = [format!("{id}.{time}.").as_bytes(), &request.body].concat();
            let expected = STANDARD.encode(hmac(&STANDARD.decode(KEY).unwrap(), &signed));
            assert_eq!(request.header("webhook-signature").unwrap(), format!("v1,{expected}"));
        }
    }
}
