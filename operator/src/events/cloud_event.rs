//! An event as a CloudEvent. Pure.
//!
//! Sources: CloudEvents 1.0.2, its JSON event format 1.0.2 and its HTTP protocol binding 1.0.2.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use super::event::Event;
use crate::text;

/// The media type of a structured event.
pub const STRUCTURED_TYPE: &str = "application/cloudevents+json";

/// The media type of the data of an event.
const DATA_TYPE: &str = "application/json";

/// What a header value has percent-encoded: all but U+0021 to U+007E, and `"` and `%` (HTTP binding, section 3.1.3.2).
/// Bytes that are not ASCII are always encoded.
const HEADER_VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// A CloudEvent in the JSON format.
#[derive(Serialize)]
struct Structured<'e> {
    specversion: &'static str,
    id: String,
    source: &'e str,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    data: &'e Event,
}

/// The type attribute, such as `io.vmcatcher-operator.Available.after`.
pub fn event_type(event: &Event) -> String {
    format!("io.vmcatcher-operator.{}.{}", event.event.as_str(), event.phase.as_str())
}

/// The event in the JSON format, with the media type [`STRUCTURED_TYPE`]. `source` is the URI reference of this
/// operator; it is not empty.
///
/// The subject is `namespace/name` of the object; an event without an object has none. The data is the event as the
/// spool has it.
pub fn structured(event: &Event, source: &str) -> Vec<u8> {
    let structured = Structured {
        specversion: "1.0",
        id: event.id.to_string(),
        source,
        r#type: event_type(event),
        subject: subject(event),
        time: event.time.to_string(),
        datacontenttype: DATA_TYPE,
        data: event,
    };
    json(&structured).into_bytes()
}

/// The event in the binary content mode of the HTTP binding: the headers, in lower case and with encoded values, and
/// the body. `source` is as for [`structured`].
pub fn binary(event: &Event, source: &str) -> (Vec<(&'static str, String)>, Vec<u8>) {
    let encoded = |value: &str| utf8_percent_encode(value, HEADER_VALUE).to_string();
    let mut headers = vec![
        ("content-type", DATA_TYPE.to_owned()),
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", event.id.to_string()),
        ("ce-source", encoded(source)),
        ("ce-type", encoded(&event_type(event))),
        ("ce-time", event.time.to_string()),
    ];
    headers.extend(subject(event).map(|subject| ("ce-subject", encoded(&subject))));
    (headers, data(event).into_bytes())
}

/// The event as one line of JSON, without a line end. Characters that are not printable are escaped.
pub(super) fn data(event: &Event) -> String {
    json(event)
}

/// The subject, on one line: attributes have no control characters (CloudEvents, section "Type System").
fn subject(event: &Event) -> Option<String> {
    event.object.as_ref().map(|object| text::printable(&object.to_string()).into_owned())
}

/// Texts, numbers and members with fixed names: these have a form in JSON always.
fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    text::printable_json(&json).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::api::Kind;
    use crate::events::{EventType, Object, Phase};

    fn event() -> Event {
        Event {
            session: Uuid::from_u128(2),
            time: "2026-11-29T18:00:00.25Z".parse().unwrap(),
            object: Some(Object { kind: Kind::Subscription, namespace: "vo-a".to_owned(), name: "list".to_owned() }),
            reason: Some("BadSignature".to_owned()),
            message: Some("é \u{202e}\n\"".to_owned()),
            ..Event::new(Uuid::from_u128(1), EventType::ListRefused, Phase::After)
        }
    }

    #[test]
    fn a_structured_event_has_all_attributes_and_the_event_as_data() {
        let event = event();
        let bytes = structured(&event, "/vmcatcher-operator/site");
        assert!(bytes.windows(6).any(|bytes| bytes == b"\\u202e"), "{}", String::from_utf8_lossy(&bytes));
        let found: Value = serde_json::from_slice(&bytes).unwrap();
        let expected = json!({
            "specversion": "1.0",
            "id": "00000000-0000-0000-0000-000000000001",
            "source": "/vmcatcher-operator/site",
            "type": "io.vmcatcher-operator.ListRefused.after",
            "subject": "vo-a/list",
            "time": "2026-11-29T18:00:00.25Z",
            "datacontenttype": "application/json",
            "data": serde_json::to_value(&event).unwrap(),
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn an_event_without_an_object_has_no_subject() {
        let event = Event { object: None, event: EventType::Process, ..event() };
        let found: Value = serde_json::from_slice(&structured(&event, "/a")).unwrap();
        assert_eq!(found.get("subject"), None);
        assert!(binary(&event, "/a").0.iter().all(|(name, _)| *name != "ce-subject"));
    }

    #[test]
    fn header_values_are_printable_ascii_and_decode_to_what_they_were() {
        let mut event = event();
        event.object =
            Some(Object { kind: Kind::Subscription, namespace: "a\"b%c d".to_owned(), name: "€\n~!".into() });
        let (headers, body) = binary(&event, "/é");
        let value = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        assert_eq!(value("ce-source"), Some("/%C3%A9"));
        assert_eq!(value("ce-subject"), Some("a%22b%25c%20d/%E2%82%AC\\n~!"));
        assert_eq!(value("content-type"), Some("application/json"));
        assert!(headers.iter().all(|(_, value)| value.bytes().all(|byte| (0x21..=0x7e).contains(&byte))));
        assert_eq!(serde_json::from_slice::<Event>(&body).unwrap(), event);
    }
}
