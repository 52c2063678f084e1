//! The webhook sink and real HTTP servers.

mod contents;
pub(crate) mod receiver;
pub(super) mod sample;
mod secrets;
mod tls;
mod trouble;

use std::time::Duration;

use vmcatcher_operator::events::{ClientTls, ContentMode, Delivery, Event, Sink, WebhookSettings, WebhookSink};

use self::receiver::{Answer, Receiver};
use self::sample::{event, events};

const SOURCE: &str = "/vmcatcher-operator/site";

fn settings(url: &str) -> WebhookSettings {
    WebhookSettings {
        url: url.parse().unwrap(),
        mode: ContentMode::Structured,
        hmac_key: None,
        token: None,
        timeout: Duration::from_secs(20),
        tls: ClientTls::default(),
    }
}

fn sink(url: &str) -> WebhookSink {
    WebhookSink::new(settings(url), SOURCE.to_owned())
}

/// Why the delivery of an event stopped.
async fn stopped(sink: &mut WebhookSink) -> String {
    let delivery = sink.deliver(&[event(0)]).await;
    assert_eq!((delivery.handled, delivery.refused.len()), (0, 0));
    delivery.stopped.unwrap().to_string()
}

fn is_whole(delivery: &Delivery, events: &[Event]) -> bool {
    delivery.handled == events.len() && delivery.refused.is_empty() && delivery.stopped.is_none()
}

#[tokio::test]
async fn events_come_in_order_over_one_connection() {
    let receiver = Receiver::start([Answer::Says(200, "", "thank you".to_owned()), Answer::status(204)]);
    let mut sink = sink(&receiver.url("/hook?a=b"));
    let events = events(200);
    for part in events.chunks(50) {
        let delivery = sink.deliver(part).await;
        assert!(is_whole(&delivery, part), "{delivery:?}");
    }
    assert!(is_whole(&sink.deliver(&[]).await, &[]));
    let requests = receiver.requests();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(requests.len(), events.len());
    for (request, event) in requests.iter().zip(&events) {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["id"], event.id.to_string());
        assert_eq!(request.line, "POST /hook?a=b");
        assert_eq!(request.header("user-agent").unwrap(), format!("vmcatcher-operator/{version}"));
        assert_eq!((request.header("cookie"), request.header("authorization")), (None, None));
        assert_eq!((request.header("webhook-signature"), request.connection), (None, 0));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_refused_event_blocks_nothing_and_a_stop_keeps_the_rest() {
    let refusal = Answer::Says(422, "", "no such\nfield \u{1b}[31m".to_owned());
    let busy = Answer::Says(503, "Retry-After: 7\r\n", String::new());
    let receiver = Receiver::start([Answer::status(200), refusal, Answer::status(202), busy, Answer::status(200)]);
    let mut sink = sink(&receiver.url("/"));
    let events = events(6);
    let delivery = sink.deliver(&events).await;
    assert_eq!(delivery.handled, 3);
    let said = "status 422 Unprocessable Entity: no such field [31m".to_owned();
    assert_eq!(delivery.refused, [(events[1].id, said)]);
    let stopped = delivery.stopped.unwrap();
    assert!(
        matches!(&stopped, vmcatcher_operator::events::SinkError::Busy { retry_after: Some(wait), .. } if wait.as_secs() == 7),
        "{stopped:?}"
    );
    assert_eq!(receiver.requests().len(), 4, "nothing behind the stop was sent");
    assert!(is_whole(&sink.deliver(&events[3..]).await, &events[3..]));
    assert_eq!(receiver.connections(), 1);
}
