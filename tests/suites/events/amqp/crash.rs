//! A broker that is killed.

use std::collections::HashSet;

use harness::patience::{found, until};
use harness::rabbitmq::{Queue, RabbitMq};
use lapin::ExchangeKind;
use vmcatcher_operator::events::{Event, EventType, Phase, Sink};

use super::{available, declare, event, identities, identities_of, settings, sink};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_in_the_middle_gets_each_event_at_least_once_and_in_order() {
    let broker = RabbitMq::alone().await;
    declare(&broker, "crash", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "crash", "#", &[]).await;
    let long = "a long message ".repeat(200);
    let events: Vec<Event> = (0..2000).map(|_| event(EventType::Available, Phase::After, &long)).collect();
    let mut sink = sink(settings(&broker, "crash"));

    let all = events.clone();
    let delivering = tokio::spawn(async move {
        let delivery = sink.deliver(&all).await;
        (sink, delivery)
    });
    found(async || queue.take().await).await.expect("the first event arrives");
    tokio::task::block_in_place(|| broker.kill());
    let (mut sink, delivery) = delivering.await.unwrap();
    let error = delivery.stopped.expect("the delivery stops");
    assert_eq!(error.reason(), "Unreachable", "{error}");
    let mut handled = delivery.handled;
    assert!((1..events.len()).contains(&handled), "{handled} were confirmed before the broker was killed");
    assert_eq!(sink.deliver(&events[handled..]).await.stopped.expect("there is no listener").reason(), "Unreachable");

    tokio::task::block_in_place(|| broker.start());
    let queue = Queue::open(&broker, &queue.name).await;
    until("all events are delivered", async || {
        handled += sink.deliver(&events[handled..]).await.handled;
        handled == events.len()
    })
    .await;
    let mut arrived = identities(&queue.take_all().await);
    let count = arrived.len();
    let mut seen = HashSet::new();
    arrived.retain(|identity| seen.insert(identity.clone()));
    // The first was taken before, and is there again if the broker had no time to note it.
    let first = usize::from(arrived.first() != Some(&events[0].id.to_string()));
    assert_eq!(arrived, identities_of(&events[first..]));
    eprintln!("{} events, {count} arrivals, {} twice", events.len(), count - arrived.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_was_idle_when_the_broker_restarted_connects_again() {
    let broker = RabbitMq::alone().await;
    declare(&broker, "restart", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "restart", "#", &[]).await;
    let events = available(2);
    let mut sink = sink(settings(&broker, "restart"));
    assert_eq!(sink.deliver(&events[..1]).await.handled, 1);
    tokio::task::block_in_place(|| {
        broker.kill();
        broker.start();
    });
    until("the second event is delivered", async || sink.deliver(&events[1..]).await.handled == 1).await;
    let queue = Queue::open(&broker, &queue.name).await;
    assert_eq!(identities(&queue.take_all().await), identities_of(&events));
}

#[tokio::test]
async fn a_delivery_can_be_dropped_at_any_moment() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "dropped", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "dropped", "#", &[]).await;
    let events = available(300);
    let mut sink = sink(settings(&broker, "dropped"));
    {
        let delivering = std::pin::pin!(sink.deliver(&events));
        let arrival = std::pin::pin!(found(async || queue.take().await));
        // The first to end: the delivery is dropped, unless the machine is so fast that it is done.
        futures::future::select(arrival, delivering).await;
    }
    let delivery = sink.deliver(&events).await;
    assert_eq!(delivery.handled, events.len(), "{:?}", delivery.stopped);
    let arrived: HashSet<String> = identities(&queue.take_all().await).into_iter().collect();
    assert_eq!(arrived, identities_of(&events).into_iter().collect());
}
