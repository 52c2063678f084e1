//! What happened, as an Event (events.k8s.io/v1). Pure.
//!
//! Things are told when they happen and not again, so each is an Event of its own with its own figures: none is counted
//! into the one before it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::MANAGER;
use crate::reconcile::Happening;

/// What is told at most, in bytes (events.k8s.io/v1: `note`).
const LONGEST_NOTE: usize = 1024;
/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 253;

/// The event of what happened to an object.
pub(super) fn event(happening: Happening, regarding: ObjectReference, host: &str, now: Timestamp) -> Event {
    let Happening { kind: _, key, warning, reason, message } = happening;
    let mut note = message;
    note.truncate(note.floor_char_boundary(LONGEST_NOTE));
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
        type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(reason.to_owned()),
        action: Some(reason.to_owned()),
        note: Some(note),
        regarding: Some(regarding),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(host.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::{Kind, ObjectKey};

    fn told(name: &str, message: &str) -> Event {
        let happening = Happening {
            kind: Kind::Image,
            key: ObjectKey::new("n", name),
            warning: true,
            reason: "ListRefused",
            message: message.to_owned(),
        };
        event(happening, ObjectReference::default(), "host", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_event_is_of_its_object_and_within_its_bounds() {
        let event = told("vo", "expired");
        assert_eq!(event.metadata.name.as_deref(), Some("vo.0"));
        assert_eq!((event.type_.as_deref(), event.note.as_deref()), (Some("Warning"), Some("expired")));
        let long = told(&format!("{}.{}", "a".repeat(250), "b".repeat(2)), &"ä".repeat(2000));
        assert_eq!(long.metadata.name.unwrap(), format!("{}.0", "a".repeat(250)));
        assert_eq!(long.note.unwrap().len(), LONGEST_NOTE);
    }
}
