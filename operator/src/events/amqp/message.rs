//! The message that an event becomes: routing key, properties, body. Pure.

use lapin::BasicProperties;
use lapin::types::ShortString;

use crate::events::cloud_event;
use crate::events::event::Event;

/// `delivery-mode` of a message that is still there after the broker restarts (AMQP 0-9-1, class basic).
const PERSISTENT: u8 = 2;

/// The words of a routing key that consumers bind to: `vmcatcher.<event>.<phase>`.
pub(super) fn routing_key(event: &Event) -> String {
    format!("vmcatcher.{}.{}", event.event, event.phase)
}

/// The properties: `message-id` is the identity of the event, so that a consumer can drop an event that it already has.
pub(super) fn properties(event: &Event) -> BasicProperties {
    // All of these are short: a short string has at most 255 bytes.
    let kind = cloud_event::event_type(event);
    BasicProperties::default()
        .with_content_type("application/cloudevents+json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event.id.to_string().into())
        .with_timestamp(u64::try_from(event.time.as_second()).unwrap_or_default())
        .with_type(kind.into())
        .with_app_id("vmcatcher-operator".into())
}

/// The body: the event as a CloudEvent in structured JSON.
pub(super) fn body(event: &Event, source: &str) -> Vec<u8> {
    cloud_event::structured(event, source)
}

/// A short string, which has at most 255 bytes (AMQP 0-9-1, section 4.2.5.3); `None` if the text is longer.
pub(super) fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}
