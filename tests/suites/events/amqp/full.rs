//! A full queue, and a broker without memory.

use std::time::Duration;

use harness::patience::until;
use harness::rabbitmq::{Queue, RabbitMq};
use lapin::ExchangeKind;
use lapin::types::AMQPValue;
use vmcatcher_operator::events::{AmqpSettings, Sink, SinkError};

use super::{available, declare, identities, identities_of, settings, sink};

#[tokio::test]
async fn a_full_queue_that_refuses_messages_gets_them_when_there_is_space() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "full", ExchangeKind::Topic).await;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(3)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
    let queue = Queue::bound(&broker, "full", "#", &arguments).await;
    let events = available(10);
    let mut sink = sink(settings(&broker, "full"));
    let (mut handled, mut arrived) = (0, Vec::new());
    while handled < events.len() {
        let delivery = sink.deliver(&events[handled..]).await;
        handled += delivery.handled;
        assert!(delivery.refused.is_empty(), "{:?}", delivery.refused);
        match delivery.stopped {
            None => assert_eq!(handled, events.len()),
            Some(SinkError::Busy { found, .. }) => assert!(found.contains("a queue is full"), "{found}"),
            Some(other) => panic!("expected Busy, found {other:?}"),
        }
        let taken = queue.take_all().await;
        assert!((1..=4).contains(&taken.len()), "{} of at most 3 messages", taken.len());
        arrived.extend(identities(&taken));
    }
    assert_eq!(arrived, identities_of(&events));
}

#[tokio::test]
async fn a_broker_without_memory_is_waited_for_on_one_connection() {
    let broker = RabbitMq::alone().await;
    declare(&broker, "memory", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "memory", "#", &[]).await;
    let events = available(20);
    let timeout = Duration::from_secs(2);
    let mut sink = sink(AmqpSettings { timeout, ..settings(&broker, "memory") });
    broker.ctl(&["set_vm_memory_high_watermark", "0.0001"]);
    let alarms = || broker.ctl(&["eval", "rabbit_alarm:get_alarms()."]);
    until("a memory alarm", async || alarms().contains("memory")).await;
    for _ in 0..3 {
        let delivery = sink.deliver(&events).await;
        assert_eq!(delivery.handled, 0);
        let error = delivery.stopped.expect("a reason");
        assert!(matches!(&error, SinkError::Busy { found, .. } if found.contains("memory")), "{error:?}");
    }
    let connections = broker.ctl(&["list_connections", "client_properties"]);
    assert_eq!(connections.matches("vmcatcher-operator").count(), 1, "{connections}");

    broker.ctl(&["set_vm_memory_high_watermark", "0.8"]);
    until("no alarm", async || !alarms().contains("memory")).await;
    let mut handled = 0;
    until("all events are delivered", async || {
        handled += sink.deliver(&events[handled..]).await.handled;
        handled == events.len()
    })
    .await;
    let mut arrived = identities(&queue.take_all().await);
    let mut seen = std::collections::HashSet::new();
    arrived.retain(|identity| seen.insert(identity.clone()));
    assert_eq!(arrived, identities_of(&events));
}
