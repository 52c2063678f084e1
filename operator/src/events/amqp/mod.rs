//! The `amqp` sink: events go to a topic exchange of an AMQP 0-9-1 broker, such as RabbitMQ.
//!
//! * An event is a message with the routing key `vmcatcher.<event>.<phase>`. Its body is a CloudEvent 1.0 in structured
//!   JSON. Its `message-id` is the identity of the event: a consumer drops a message whose `message-id` it already has.
//! * An event is delivered when the broker confirms it. At most 256 events wait for their confirmation, so events that
//!   were sent when a connection broke can come twice. The first arrivals are in order.
//! * Messages are `mandatory`. An event that no queue takes is refused: it is reported, and blocks no other event.
//! * A full queue that refuses messages (`x-overflow: reject-publish`), and a broker with too little memory or disk, are
//!   waited for: the next delivery begins with one event at a time.
//! * The connection is made at the first delivery, and again after it broke. The files with credentials and certificates
//!   are read each time.

mod batch;
mod broker;
mod files;
mod listener;
mod message;
mod peer;
mod socket;
mod tls;
mod uri;

use batch::Stop;
use broker::Broker;
pub use listener::ProgressListener;
use peer::Peer;

use super::event::Event;
use super::settings::AmqpSettings;
use super::sink::{Delivery, Sink, SinkError};

/// The most events that wait for their confirmation.
const MOST_IN_FLIGHT: usize = 256;

/// Delivers events to a topic exchange.
pub struct AmqpSink {
    settings: AmqpSettings,
    source: String,
    peer: Peer,
    broker: Option<Broker>,
    /// How many events are published before their confirmations are awaited: one after a delivery that stopped, so that
    /// a queue with little space gets events in order; twice as many after each batch that was taken.
    in_flight: usize,
}

impl AmqpSink {
    /// A sink that is not connected yet. `source` is the `source` of the CloudEvents, a URI reference.
    pub fn new(settings: AmqpSettings, source: String) -> Self {
        let peer = Peer { address: uri::shown(&settings.url), timeout: settings.timeout };
        Self { settings, source, peer, broker: None, in_flight: MOST_IN_FLIGHT }
    }

    /// A connection that takes messages: the one that is there, or a new one.
    async fn connected(&mut self) -> Result<Broker, SinkError> {
        match self.broker.take() {
            // It stays: a blocked broker reads nothing, so it would not see the end of this one before it sees a new one.
            Some(blocked) if blocked.is_blocked() => {
                self.broker = Some(blocked);
                Err(self.blocked())
            }
            Some(usable) if usable.is_usable() => Ok(usable),
            Some(_) | None => Broker::connect(&self.settings, &self.peer).await,
        }
    }

    fn blocked(&self) -> SinkError {
        self.peer.busy("it has too little memory or disk, and blocks all publishers (connection.blocked)".to_owned())
    }

    /// What a stop is for the caller. The connection is kept if it can be used again.
    fn stop(&mut self, stop: Stop, mut broker: Broker) -> SinkError {
        match stop {
            Stop::Full => {
                self.broker = Some(broker);
                self.peer.busy("a queue is full and refuses messages (basic.nack)".to_owned())
            }
            Stop::Blocked => {
                broker.is_stalled = true;
                self.broker = Some(broker);
                self.blocked()
            }
            Stop::Failed(error) => error,
        }
    }
}

impl Sink for AmqpSink {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        let mut delivery = Delivery::default();
        while delivery.stopped.is_none() && delivery.handled < events.len() {
            let left = &events[delivery.handled..];
            let batch = &left[..left.len().min(self.in_flight)];
            let broker = match self.connected().await {
                Ok(broker) => broker,
                Err(error) => {
                    delivery.stopped = Some(error);
                    break;
                }
            };
            let published = batch::publish(&broker, &self.peer, batch, &self.source).await;
            delivery.handled += published.handled;
            delivery.refused.extend(published.refused);
            match published.stopped {
                None => {
                    self.in_flight = MOST_IN_FLIGHT.min(self.in_flight * 2);
                    self.broker = Some(broker);
                }
                Some(stop) => {
                    self.in_flight = 1;
                    delivery.stopped = Some(self.stop(stop, broker));
                }
            }
        }
        delivery
    }
}
