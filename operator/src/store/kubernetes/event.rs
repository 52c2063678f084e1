//! Events (core/v1). Pure.
//!
//! Each event is published once, as an Event of its own with its own message; nothing is aggregated. core/v1 is used
//! because an Event of events.k8s.io/v1 has no field for the time when it was last seen, and people and tools sort by
//! that time.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::ObjectMeta;

use super::MANAGER;
use crate::store::ObjectEvent;

/// The longest message, in bytes (the API server's limit for an Event with an `eventTime`).
const LONGEST_MESSAGE: usize = 1024;
/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 253;
/// The namespace of Events for objects without a namespace.
const NO_NAMESPACE: &str = "default";

/// Makes the Event of an object.
pub(super) fn event(event: ObjectEvent, involved: ObjectReference, host: &str, now: Timestamp) -> Event {
    let ObjectEvent { kind: _, key, warning, reason, mut message } = event;
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    let suffix = format!(".{:x}", now.as_nanosecond());
    let mut name = key.name;
    name.truncate(name.floor_char_boundary(LONGEST_NAME - suffix.len()));
    let name = name.trim_end_matches(['-', '.']);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}{suffix}")),
            namespace: Some(key.namespace),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(reason.clone()),
        action: Some(reason),
        message: Some(message),
        involved_object: involved,
        source: Some(EventSource { component: Some(MANAGER.to_owned()), host: Some(host.to_owned()) }),
        reporting_component: Some(MANAGER.to_owned()),
        reporting_instance: Some(host.to_owned()),
        ..Event::default()
    }
}

/// The same Event for the object's namespace, in the namespace `default`. A namespace that is being deleted accepts no
/// new Events.
pub(super) fn of_namespace(mut event: Event) -> Event {
    let namespace = event.metadata.namespace.replace(NO_NAMESPACE.to_owned());
    let (kind, name) = (event.involved_object.kind.take(), event.involved_object.name.take());
    let message = event.message.take().unwrap_or_default();
    let mut message = format!("{} {}: {message}", kind.unwrap_or_default(), name.unwrap_or_default());
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    event.message = Some(message);
    // With an `eventTime`, older servers accept Events of cluster-scoped objects only in kube-system (ValidateEvent of
    // 1.20).
    event.event_time = None;
    event.involved_object = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Namespace".to_owned()),
        name: namespace,
        ..ObjectReference::default()
    };
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, ObjectKey};

    fn told(name: &str, message: &str) -> Event {
        let involved = ObjectReference {
            kind: Some("CachedImage".to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        };
        let told = ObjectEvent {
            kind: Kind::Image,
            key: ObjectKey::new("n", name),
            warning: true,
            reason: "ListRefused".to_owned(),
            message: message.to_owned(),
        };
        event(told, involved, "host", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_event_is_of_its_object_and_within_its_bounds() {
        let event = told("vo", "expired");
        assert_eq!(event.metadata.name.as_deref(), Some("vo.0"));
        assert_eq!((event.type_.as_deref(), event.message.as_deref()), (Some("Warning"), Some("expired")));
        let long = told(&format!("{}.{}", "a".repeat(250), "b".repeat(2)), &"ä".repeat(2000));
        assert_eq!(long.metadata.name.unwrap(), format!("{}.0", "a".repeat(250)));
        assert_eq!(long.message.unwrap().len(), LONGEST_MESSAGE);
    }
    #[test]
    fn an_event_says_when_it_was_seen() {
        let event = told("vo", "expired");
        let seen = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!((event.first_timestamp, event.last_timestamp, event.count), (seen.clone(), seen, Some(1)));
    }

    #[test]
    fn what_a_namespace_that_goes_does_not_take_is_told_of_the_namespace() {
        let event = of_namespace(told("vo", "expired"));
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(event.message.as_deref(), Some("CachedImage vo: expired"));
        let involved = (event.involved_object.kind.as_deref(), event.involved_object.name.as_deref());
        assert_eq!((involved, event.involved_object.namespace), ((Some("Namespace"), Some("n")), None));
        assert_eq!((event.event_time, event.last_timestamp), (None, Some(Time(Timestamp::UNIX_EPOCH))));
        assert_eq!(of_namespace(told("vo", &"ä".repeat(2000))).message.unwrap().len(), LONGEST_MESSAGE);
    }
}
