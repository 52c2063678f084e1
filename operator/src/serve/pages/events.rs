//! The last events that the spool has. Pure.

use askama::Template;

use super::frame::{Frame, Request, page_of};
use super::shown::{Moment, Text};
use crate::api::{Kind, ObjectKey};
use crate::events::Event;

/// The most events of the page.
pub(super) const MOST: usize = 200;

/// The page.
#[derive(Template)]
#[template(path = "events.html")]
pub(super) struct Events {
    frame: Frame,
    /// Whether a sink takes events.
    has_sinks: bool,
    rows: Vec<Row>,
}

struct Row {
    number: u64,
    time: Moment,
    event: &'static str,
    phase: &'static str,
    object: Text,
    page: Option<String>,
    about: Text,
    reason: Text,
    message: Text,
}

impl Events {
    /// Makes the page from events with their numbers, the newest first.
    pub(super) fn of(request: &Request, has_sinks: bool, events: &[(u64, Event)]) -> Self {
        let row = |(number, event): &(u64, Event)| Row {
            number: *number,
            time: Moment::of(event.time, request.now),
            event: event.event.as_str(),
            phase: event.phase.as_str(),
            object: Text::of(event.object.as_ref().map(ToString::to_string).unwrap_or_default()),
            page: event.object.as_ref().map(|object| {
                let key = ObjectKey::new(&object.namespace, &object.name);
                match object.kind {
                    Kind::Image => page_of("images", &key),
                    Kind::Subscription => page_of("subscriptions", &key),
                    Kind::Endorser => format!("/endorsers#{}.{}", key.namespace, key.name),
                    Kind::Target => format!("/clouds#{}.{}", key.namespace, key.name),
                }
            }),
            about: Text::at_most(&about(event), 160),
            reason: Text::of(event.reason.as_deref().unwrap_or_default()),
            message: Text::of(event.message.as_deref().unwrap_or_default()),
        };
        Self { frame: Frame::of(request, "Events", "Events"), has_sinks, rows: events.iter().map(row).collect() }
    }
}

/// The image and the target of an event.
fn about(event: &Event) -> String {
    let image = event.image.as_ref().map(|image| format!("{} {}", image.title, image.version)).unwrap_or_default();
    let target = event.target.as_ref().map(|target| format!(" in {target}")).unwrap_or_default();
    format!("{image}{target}")
}
