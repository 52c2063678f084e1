//! One batch of messages: all are published, then the confirmations are awaited.

use std::collections::HashMap;

use futures::FutureExt as _;
use lapin::options::BasicPublishOptions;
use lapin::{Confirmation, PublisherConfirm};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::broker::Broker;
use super::message::{body, properties, routing_key, short};
use super::peer::{Peer, words};
use crate::events::event::Event;
use crate::events::sink::SinkError;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// How many events, from the first, the broker confirmed.
    pub(super) handled: usize,
    /// Those of them that no queue takes.
    pub(super) refused: Vec<(Uuid, String)>,
    /// Why the next one was not confirmed.
    pub(super) stopped: Option<Stop>,
}

/// Why an event was not confirmed.
#[derive(Debug)]
pub(super) enum Stop {
    /// A queue is full and refuses messages (`basic.nack`).
    Full,
    /// The broker takes no messages from anybody (`connection.blocked`).
    Blocked,
    /// The connection or the channel cannot be used further.
    Failed(SinkError),
}

/// The answer of the broker to one message.
#[derive(Debug)]
enum Answer {
    Taken,
    Full,
    Missing,
}

/// Publishes events and awaits their confirmations, together at most the timeout.
pub(super) async fn publish(broker: &Broker, peer: &Peer, events: &[Event], source: &str) -> Published {
    let deadline = Instant::now() + peer.timeout;
    let (confirms, unsent) = send(broker, events, source, deadline).await;
    let mut answers = Answers::default();
    for confirm in confirms {
        answers.wait(confirm, deadline).await;
    }
    let failure = match answers.failure.take().or(unsent) {
        Some(Failure::TimedOut) if broker.is_blocked() => Stop::Blocked,
        Some(Failure::TimedOut) => Stop::Failed(peer.timed_out()),
        Some(Failure::Error(error)) => Stop::Failed(peer.error(&error)),
        None => Stop::Failed(peer.unreachable("expected a confirmation of each message, found none".to_owned())),
    };
    settle(events, answers, failure, broker.exchange.as_str())
}

/// Why no further answer comes.
#[derive(Debug)]
enum Failure {
    TimedOut,
    Error(lapin::Error),
}

/// Publishes events in their order: the confirmations to await, and why the next event was not sent.
async fn send(
    broker: &Broker,
    events: &[Event],
    source: &str,
    deadline: Instant,
) -> (Vec<PublisherConfirm>, Option<Failure>) {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let mut confirms = Vec::with_capacity(events.len());
    for event in events {
        let (exchange, body) = (broker.exchange.clone(), body(event, source));
        let key = short(&routing_key(event)).unwrap_or_default();
        let sent = broker.channel.basic_publish(exchange, key, options, &body, properties(event));
        match timeout_at(deadline, sent).await {
            Ok(Ok(confirm)) => confirms.push(confirm),
            Ok(Err(error)) => return (confirms, Some(Failure::Error(error))),
            Err(_) => return (confirms, Some(Failure::TimedOut)),
        }
    }
    (confirms, None)
}

/// The answers to the messages, in their order.
#[derive(Debug, Default)]
struct Answers {
    each: Vec<Answer>,
    /// The messages that were sent back, by their `message-id`. The library can attach such a message to the answer to
    /// another one of the batch.
    returned: HashMap<String, String>,
    failure: Option<Failure>,
}

impl Answers {
    /// Waits for the next answer; after a failure it takes what is already there.
    async fn wait(&mut self, confirm: PublisherConfirm, deadline: Instant) {
        let answer = match self.failure {
            None => timeout_at(deadline, confirm).await.unwrap_or_else(|_| {
                self.failure = Some(Failure::TimedOut);
                Ok(Confirmation::NotRequested)
            }),
            Some(_) => confirm.now_or_never().unwrap_or(Ok(Confirmation::NotRequested)),
        };
        let answer = match answer {
            Ok(Confirmation::Ack(returned)) => (Answer::Taken, returned),
            Ok(Confirmation::Nack(returned)) => (Answer::Full, returned),
            Ok(Confirmation::NotRequested) => (Answer::Missing, None),
            Err(error) => {
                self.failure.get_or_insert(Failure::Error(error));
                (Answer::Missing, None)
            }
        };
        self.each.push(answer.0);
        if let Some(returned) = answer.1 {
            let identity = returned.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
            self.returned.insert(identity, words(&format!("{} {}", returned.reply_code, returned.reply_text)));
        }
    }
}

/// The events that need no further delivery, and why the next one does. Pure.
fn settle(events: &[Event], answers: Answers, failure: Stop, exchange: &str) -> Published {
    let mut published = Published::default();
    let mut answers_of = answers.each.into_iter();
    for event in events {
        match answers_of.next().unwrap_or(Answer::Missing) {
            Answer::Taken => published.handled += 1,
            Answer::Full => {
                published.stopped = Some(Stop::Full);
                break;
            }
            Answer::Missing => {
                published.stopped = Some(failure);
                break;
            }
        }
        if let Some(reply) = answers.returned.get(&event.id.to_string()) {
            let key = routing_key(event);
            let found = format!("no queue is bound to the exchange {exchange} for the routing key {key} ({reply})");
            published.refused.push((event.id, found));
        }
    }
    published
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::events::event::{EventType, Phase};

    fn events(count: usize) -> Vec<Event> {
        let event = |_| Event::new(Uuid::new_v4(), EventType::Process, Phase::After);
        (0..count).map(event).collect()
    }

    fn answers(each: Vec<Answer>, returned: &[&Event]) -> Answers {
        let returned = returned.iter().map(|event| (event.id.to_string(), "312 NO_ROUTE".to_owned())).collect();
        Answers { each, returned, failure: None }
    }

    #[test]
    fn the_events_before_the_first_that_is_not_confirmed_are_handled() {
        use Answer::{Full, Missing, Taken};
        let events = events(4);
        for (each, handled) in [
            (vec![Taken, Taken, Full, Taken], 2),
            (vec![Full, Taken, Taken, Taken], 0),
            (vec![Taken, Missing, Full, Taken], 1),
            (vec![Taken, Taken, Taken], 3),
            (vec![], 0),
        ] {
            let is_full = matches!(each.get(handled), Some(Full));
            let published = settle(&events, answers(each, &[]), Stop::Blocked, "exchange");
            assert_eq!(published.handled, handled);
            assert!(if is_full {
                matches!(published.stopped, Some(Stop::Full))
            } else {
                matches!(published.stopped, Some(Stop::Blocked))
            });
        }
        let all = settle(&events, answers(vec![Taken, Taken, Taken, Taken], &[]), Stop::Blocked, "exchange");
        assert!(all.handled == 4 && all.stopped.is_none());
    }

    #[test]
    fn an_event_that_was_sent_back_is_refused_once_it_is_handled() {
        use Answer::{Full, Taken};
        let events = events(3);
        let each = vec![Taken, Taken, Full];
        let published = settle(&events, answers(each, &[&events[1], &events[2]]), Stop::Blocked, "exchange");
        assert_eq!(published.handled, 2);
        let expected =
            "no queue is bound to the exchange exchange for the routing key vmcatcher.Process.after (312 NO_ROUTE)";
        assert_eq!(published.refused, [(events[1].id, expected.to_owned())]);
    }
}
