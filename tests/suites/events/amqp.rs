//! The `amqp` sink with a real RabbitMQ.

mod consumer;
mod crash;
mod denied;
mod full;
mod tls;

use std::path::Path;
use std::time::Duration;

use harness::rabbitmq::{Queue, RabbitMq};
use jiff::Timestamp;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use lapin::{ExchangeKind, message::BasicGetMessage};
use serde_json::Value;
use vmcatcher_operator::api::Kind;
use vmcatcher_operator::events::{
    AmqpSettings, AmqpSink, ClientTls, Event, EventType, FileCredentials, Object, Phase, Sink, SinkError,
};

const SOURCE: &str = "https://images.example.org/operator";

fn event(event: EventType, phase: Phase, message: &str) -> Event {
    let object = Object { kind: Kind::Image, namespace: "images".to_owned(), name: "alma".to_owned() };
    Event {
        id: uuid::Uuid::new_v4(),
        session: uuid::Uuid::new_v4(),
        time: Timestamp::from_second(1_700_000_000).unwrap(),
        event,
        phase,
        object: Some(object),
        target: None,
        image: None,
        reason: None,
        message: Some(message.to_owned()),
        progress: None,
    }
}

fn available(count: usize) -> Vec<Event> {
    (0..count).map(|number| event(EventType::Available, Phase::After, &number.to_string())).collect()
}

/// Settings of a sink for `guest`, which declares its exchange.
fn settings(broker: &RabbitMq, exchange: &str) -> AmqpSettings {
    AmqpSettings {
        url: format!("amqp://127.0.0.1:{}", broker.port).parse().unwrap(),
        credentials: None,
        exchange: exchange.to_owned(),
        declare: true,
        timeout: Duration::from_secs(20),
        tls: ClientTls::default(),
    }
}

fn credentials(folder: &Path, username: &str, password: &str) -> FileCredentials {
    let files = FileCredentials { username: folder.join("username"), password: folder.join("password") };
    std::fs::write(&files.username, format!("{username}\n")).unwrap();
    std::fs::write(&files.password, format!("{password}\n")).unwrap();
    files
}

fn sink(settings: AmqpSettings) -> AmqpSink {
    AmqpSink::new(settings, SOURCE.to_owned())
}

async fn declare(broker: &RabbitMq, exchange: &str, kind: ExchangeKind) {
    let (_connection, channel) = broker.channel().await;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(exchange.into(), kind, options, FieldTable::default()).await.unwrap();
}

/// The identities of messages, in their order.
fn identities(messages: &[BasicGetMessage]) -> Vec<String> {
    messages.iter().map(|message| message.properties.message_id().as_ref().unwrap().to_string()).collect()
}

fn identities_of(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

/// Why a delivery of one event stops.
async fn stopped(settings: AmqpSettings) -> SinkError {
    let delivery = sink(settings).deliver(&available(1)).await;
    assert_eq!((delivery.handled, delivery.refused.len()), (0, 0));
    delivery.stopped.expect("a reason")
}

#[tokio::test]
async fn all_events_arrive_in_order_with_their_keys_properties_and_bodies() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "all", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "all", "vmcatcher.#", &[]).await;
    let phases = [Phase::Before, Phase::After, Phase::Progress];
    let each = EventType::ALL.into_iter().flat_map(|kind| phases.map(|phase| event(kind, phase, "a line\nand more")));
    let mut events: Vec<Event> = each.collect();
    events.extend(available(600));
    events[0].object = None;

    let mut sink = sink(settings(&broker, "all"));
    let delivery = sink.deliver(&events).await;
    assert_eq!((delivery.handled, delivery.refused.len()), (events.len(), 0), "{:?}", delivery.stopped);
    assert!(delivery.stopped.is_none());

    let messages = queue.take_all().await;
    assert_eq!(identities(&messages), identities_of(&events));
    for (event, message) in events.iter().zip(&messages) {
        assert_message(event, message);
    }
    assert_eq!(sink.deliver(&[]).await.handled, 0);
}

fn assert_message(event: &Event, message: &BasicGetMessage) {
    let (kind, phase) = (event.event.as_str(), event.phase.as_str());
    assert_eq!(message.routing_key.as_str(), format!("vmcatcher.{kind}.{phase}"));
    let properties = &message.properties;
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!(text(properties.content_type()), "application/cloudevents+json");
    assert_eq!(text(properties.kind()), format!("io.vmcatcher-operator.{kind}.{phase}"));
    assert_eq!(text(properties.app_id()), "vmcatcher-operator");
    assert_eq!((*properties.delivery_mode(), *properties.timestamp()), (Some(2), Some(1_700_000_000)));

    let body: Value = serde_json::from_slice(&message.data).unwrap();
    assert_eq!(body["specversion"], "1.0");
    assert_eq!(body["id"], event.id.to_string());
    assert_eq!(body["source"], SOURCE);
    assert_eq!(body["type"], format!("io.vmcatcher-operator.{kind}.{phase}"));
    assert_eq!(body["time"], "2023-11-14T22:13:20Z");
    assert_eq!(body["datacontenttype"], "application/json");
    assert_eq!(body.get("subject").and_then(Value::as_str), event.object.as_ref().map(|_| "images/alma"));
    assert_eq!(serde_json::from_value::<Event>(body["data"].clone()).unwrap(), *event);
}

#[tokio::test]
async fn an_event_that_no_queue_takes_is_refused_and_blocks_no_other() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "unroutable", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "unroutable", "vmcatcher.Available.*", &[]).await;
    let events: Vec<Event> = (0..700)
        .map(|number| if number % 3 == 0 { EventType::Expire } else { EventType::Available })
        .map(|kind| event(kind, Phase::After, "a message"))
        .collect();
    let (taken, lost): (Vec<Event>, Vec<Event>) =
        events.iter().cloned().partition(|event| event.event == EventType::Available);

    let delivery = sink(settings(&broker, "unroutable")).deliver(&events).await;
    assert_eq!(delivery.handled, events.len(), "{:?}", delivery.stopped);
    assert_eq!(identities(&queue.take_all().await), identities_of(&taken));
    let refused: Vec<String> = delivery.refused.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(refused, identities_of(&lost));
    let expected =
        "no queue is bound to the exchange unroutable for the routing key vmcatcher.Expire.after (312 NO_ROUTE)";
    assert!(delivery.refused.iter().all(|(_, found)| found == expected), "{:?}", delivery.refused[0]);
}

#[tokio::test]
async fn an_exchange_that_exists_is_used_without_the_right_to_declare_one() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "existing", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "existing", "#", &[]).await;
    broker.add_user("writer", "w", ["^$", "^existing$", "^$"]);
    let folder = tempfile::tempdir().unwrap();
    let credentials = Some(credentials(folder.path(), "writer", "w"));
    let events = available(3);
    let settings = AmqpSettings { declare: false, credentials, ..settings(&broker, "existing") };
    let delivery = sink(settings).deliver(&events).await;
    assert_eq!(delivery.handled, 3, "{:?}", delivery.stopped);
    assert_eq!(identities(&queue.take_all().await), identities_of(&events));
}

#[tokio::test]
async fn a_declared_exchange_is_there_after_the_broker_restarts() {
    let broker = RabbitMq::shared().await;
    let delivery = sink(settings(&broker, "declared")).deliver(&available(1)).await;
    assert_eq!((delivery.handled, delivery.refused.len()), (1, 1), "{:?}", delivery.stopped);
    let listed = broker.ctl(&["list_exchanges", "name", "type", "durable"]);
    assert!(listed.lines().any(|line| line.split_whitespace().eq(["declared", "topic", "true"])), "{listed}");
}
