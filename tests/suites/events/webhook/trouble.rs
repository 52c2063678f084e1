//! Receivers that are slow, wrong, busy or hostile.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::events::{Sink as _, SinkError, WebhookSettings, WebhookSink};

use super::receiver::{Answer, Receiver};
use super::{SOURCE, event, events, is_whole, settings, sink, stopped};

/// A sink with a time-out of a quarter of a second.
fn impatient(url: &str) -> WebhookSink {
    WebhookSink::new(WebhookSettings { timeout: Duration::from_millis(250), ..settings(url) }, SOURCE.to_owned())
}

#[tokio::test]
async fn each_class_of_status_has_its_result() {
    let cases = [
        (200, ""),
        (299, ""),
        (302, "Denied"),
        (400, "refused"),
        (401, "Denied"),
        (403, "Denied"),
        (404, "Denied"),
        (405, "Denied"),
        (407, "Denied"),
        (408, "Busy"),
        (410, "Denied"),
        (413, "refused"),
        (415, "refused"),
        (425, "Busy"),
        (429, "Busy"),
        (500, "Busy"),
        (507, "Busy"),
    ];
    for (status, expected) in cases {
        let receiver = Receiver::start([Answer::Says(status, "", format!("word {status}"))]);
        let delivery = sink(&receiver.url("/hook?key=s3cret")).deliver(&[event(0)]).await;
        let said = delivery.refused.first().map(|(_, said)| said.clone());
        let found = delivery.stopped.as_ref().map_or(if said.is_some() { "refused" } else { "" }, SinkError::reason);
        assert_eq!(found, expected, "{status}: {delivery:?}");
        assert_eq!(delivery.handled, usize::from(delivery.stopped.is_none()), "{status}");
        if let Some(message) = said.or(delivery.stopped.map(|error| error.to_string())) {
            assert!(message.contains(&format!("status {status}")) && !message.contains("s3cret"), "{message}");
            assert!(status < 400 || message.ends_with(&format!("word {status}")), "{message}");
        }
        assert_eq!(receiver.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_busy_receiver_names_the_wait_in_seconds_or_as_a_date() {
    let date = (Timestamp::now() + SignedDuration::from_mins(10)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    let date: &'static str = Box::leak(format!("Retry-After: {date}\r\n").into_boxed_str());
    for (header, expected) in [("Retry-After: 120\r\n", 120), (date, 600), ("Retry-After: 86400\r\n", 3600)] {
        let receiver = Receiver::start([Answer::Says(429, header, String::new())]);
        let delivery = sink(&receiver.url("/")).deliver(&[event(0)]).await;
        let Some(SinkError::Busy { retry_after: Some(wait), .. }) = delivery.stopped else { panic!("{delivery:?}") };
        assert!((expected - 60..=expected).contains(&wait.as_secs()), "{header}: {wait:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start([Answer::status(200)]);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}\r\n", elsewhere.url("/login?secret=1"));
        let receiver = Receiver::start([Answer::Says(status, Box::leak(location.into_boxed_str()), String::new())]);
        let message = stopped(&mut sink(&receiver.url("/hook"))).await;
        let to = elsewhere.url("/login");
        let expected = format!("expected no redirect, found one to {to}");
        assert!(message.starts_with(&receiver.url("/hook")) && message.ends_with(&expected), "{message}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_receiver_without_an_answer_costs_the_time_of_the_settings_and_the_event_comes_again() {
    let receiver = Receiver::start([Answer::Silence, Answer::status(200)]);
    let url = receiver.url("/hook?q");
    let began = Instant::now();
    let message = stopped(&mut impatient(&url)).await;
    assert_eq!(message, format!("no answer from {} in 0.25 s", receiver.url("/hook")));
    assert!(began.elapsed() >= Duration::from_millis(250));
    harness::patience::until("a request", async || receiver.requests().len() == 1).await;
    assert!(is_whole(&sink(&url).deliver(&events(1)).await, &events(1)));
    let bodies: Vec<_> = receiver.requests().iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies[0], bodies[1], "the same event");
}

#[tokio::test]
async fn the_status_counts_however_the_body_goes_on() {
    for answer in [Answer::Endless as fn(u16) -> Answer, Answer::Stalls] {
        let receiver = Receiver::start([answer(200), answer(503), Answer::status(200)]);
        let mut sink = sink(&receiver.url("/"));
        let events = events(2);
        let delivery = sink.deliver(&events).await;
        assert_eq!(delivery.handled, 1, "{delivery:?}");
        let message = delivery.stopped.unwrap().to_string();
        assert!(message.contains("does not take events now: status 503 Service Unavailable: "), "{message}");
        assert!(message.len() < 400, "{message}");
        assert!(is_whole(&sink.deliver(&events[1..]).await, &events[1..]));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_or_is_not_there_is_said_and_the_event_comes_again() {
    let receiver = Receiver::start([Answer::status(200), Answer::Cut, Answer::status(200)]);
    let mut sink = sink(&receiver.url("/hook?key=s3cret"));
    let events = events(3);
    let delivery = sink.deliver(&events).await;
    assert_eq!(delivery.handled, 1);
    let message = delivery.stopped.unwrap().to_string();
    let address = receiver.url("/hook");
    assert!(message.starts_with(&format!("cannot reach {address}: error sending request: ")), "{message}");
    assert!(message.ends_with("connection closed before message completed"), "{message}");
    assert!(is_whole(&sink.deliver(&events[1..]).await, &events[1..]));
    assert_eq!(receiver.connections(), 2);
    drop(receiver);
    // The open connection and the listener are there until the receiver's threads have ended.
    harness::patience::until("a refused connection", async || {
        let message = stopped(&mut sink).await;
        assert!(message.starts_with(&format!("cannot reach {address}: ")) && !message.contains("s3cret"), "{message}");
        message.contains("Connection refused")
    })
    .await;
}

#[tokio::test]
async fn a_host_that_no_name_server_knows_is_said() {
    let message = stopped(&mut sink("http://user:s3cret@no-such-host.invalid:8080/hook?t=s3cret#s3cret")).await;
    assert!(message.starts_with("cannot reach http://no-such-host.invalid:8080/hook: "), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
}

#[tokio::test]
async fn a_delivery_can_be_dropped_at_any_moment() {
    let receiver = Receiver::start([Answer::Silence, Answer::status(200)]);
    let mut sink = sink(&receiver.url("/"));
    let events = events(2);
    tokio::select! {
        delivery = sink.deliver(&events) => panic!("{delivery:?}"),
        () = harness::patience::until("a request", async || receiver.requests().len() == 1) => {}
    }
    assert!(is_whole(&sink.deliver(&events).await, &events));
}
