//! Sinks that come later, that fail, and that go.

use std::net::TcpListener;

use vmcatcher_operator::events::{Event, SinkName, Spool};

use super::place::{A, B, Place, line};
use crate::events::webhook::receiver::{Answer, Receiver};

const C: &str = "aaaaaaaa-0000-4000-8000-000000000003";

/// The events that wait in the spool.
fn waiting(place: &Place) -> Vec<String> {
    let spool = Spool::read_only(&place.site.path("volume/spool"));
    spool.records(0).unwrap().map(|record| line(&record.unwrap().1)).collect()
}

fn webhook(url: &str) -> String {
    format!("{{name: monitor, webhook: {{url: {url:?}}}}}")
}

#[test]
fn sinks_that_come_later_hear_nothing_of_what_was_there() {
    let place = Place::new();
    place.configure(&[]);
    let image = place.site.serve(A, "1", 1, 40_000);
    place.site.publish(&place.site.list("1.0", &[&image]));
    let run = place.good_run();
    assert!(run.logged.is_empty() && !place.site.path("volume/spool").exists(), "{run:?}");
    place.configure(&[&place.handler_sink(), &place.file_sink()]);
    place.good_run().assert_only_process();
    // From now on it hears all.
    let new = place.site.serve(A, "2", 2, 40_000);
    place.site.publish(&place.site.list("1.1", &[&new]));
    assert_eq!(place.good_run().lines_of(A), ["Expire after 1", "Available after 2"]);
}

#[test]
fn sinks_that_come_with_a_new_list_hear_what_is_new_in_it() {
    let place = Place::new();
    place.configure(&[]);
    let (old, kept) = (place.site.serve(A, "1", 1, 40_000), place.site.serve(B, "1", 2, 40_000));
    place.site.publish(&place.site.list("1.0", &[&old, &kept]));
    place.good_run();
    place.configure(&[&place.handler_sink(), &place.file_sink()]);
    let (new, added) = (place.site.serve(A, "2", 3, 40_000), place.site.serve(C, "1", 4, 40_000));
    place.site.publish(&place.site.list("1.1", &[&new, &kept, &added]));
    let run = place.good_run();
    assert_eq!(run.lines_of(A), ["Expire after 1", "Available after 2"], "{run:?}");
    assert_eq!(run.of("ExpirePostfix", A)["DIGEST"], old.sha512);
    assert_eq!(run.lines_of(B), [""; 0], "{run:?}");
    assert_eq!(run.lines_of(C), ["SubscriptionImageNew after 1", "Available after 1"], "{run:?}");
    assert_eq!(run.other_lines(), ["ListAccepted after", "Process after"]);
    place.good_run().assert_only_process();
}

#[test]
fn events_wait_for_a_receiver_that_is_away_and_come_in_order() {
    let place = Place::new();
    let image = place.site.serve(A, "1", 1, 40_000);
    place.site.publish(&place.site.list("1.0", &[&image]));
    // A port that was just free refuses connections.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.configure(&[&webhook(&format!("http://{closed}/events")), &place.file_sink()]);
    let first = place.good_run();
    assert!(first.text.contains("events wait in the spool"), "{}", first.text);
    assert_eq!(waiting(&place), first.lines());
    assert_eq!(first.lines_of(A), ["SubscriptionImageNew after 1", "Available after 1"], "{first:?}");

    let receiver = Receiver::start([Answer::status(204)]);
    place.configure(&[&webhook(&receiver.url("/events")), &place.file_sink()]);
    let second = place.good_run();
    let came: Vec<Event> = receiver.requests().iter().map(|request| event(&request.body)).collect();
    assert_eq!(came, [first.logged, second.logged].concat());
}

/// The event in a CloudEvent.
fn event(body: &[u8]) -> Event {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    serde_json::from_value(body["data"].clone()).unwrap()
}

#[test]
fn what_only_a_removed_sink_needs_is_removed() {
    let place = Place::new();
    let image = place.site.serve(A, "1", 1, 40_000);
    place.site.publish(&place.site.list("1.0", &[&image]));
    let away = place.site.path("not there/events");
    let away = format!("{{name: away, file: {{path: {:?}}}}}", away.display().to_string());
    place.configure(&[&away, &place.file_sink()]);
    let run = place.good_run();
    assert_eq!(waiting(&place), run.lines());
    place.configure(&[&place.file_sink()]);
    let run = place.good_run();
    assert_eq!(run.lines(), ["Process after"]);
    // The segment in which events are appended stays until it is full.
    let positions = Spool::read_only(&place.site.path("volume/spool")).positions().unwrap();
    assert_eq!(positions.keys().map(SinkName::as_str).collect::<Vec<_>>(), ["log"]);
    place.configure(&[&away]);
    place.good_run();
    place.configure(&[]);
    place.good_run();
    assert_eq!(waiting(&place), [""; 0]);
}
