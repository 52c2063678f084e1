//! Receives the progress of an operator from a broker: what `amqp` sinks with the phase `progress` send.

use futures::StreamExt as _;
use lapin::Consumer;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde::Deserialize;

use super::broker::Broker;
use super::peer::Peer;
use super::uri;
use crate::events::event::Event;
use crate::events::settings::AmqpSettings;
use crate::events::sink::SinkError;

/// The routing keys of progress.
const KEYS: &str = "vmcatcher.*.progress";
/// The largest message that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// Receives events of progress, with a queue of its own that the broker removes at the end.
pub struct ProgressListener {
    peer: Peer,
    consumer: Consumer,
    _broker: Broker,
}

/// The part of a CloudEvent that is read.
#[derive(Deserialize)]
struct Message {
    data: Event,
}

impl ProgressListener {
    /// Connects to the broker of a sink, and binds a queue to its exchange. The user needs the right to declare a queue
    /// and to read.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, SinkError> {
        let peer = Peer { address: uri::shown(&settings.url), timeout: settings.timeout };
        let broker = Broker::connect(settings, &peer).await?;
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = peer.step(broker.channel.queue_declare("".into(), own, FieldTable::default())).await?;
        let (name, exchange, keys) = (queue.name().clone(), broker.exchange.clone(), KEYS.into());
        let bound =
            broker.channel.queue_bind(name.clone(), exchange, keys, QueueBindOptions::default(), FieldTable::default());
        peer.step(bound).await?;
        let unconfirmed = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumed = broker.channel.basic_consume(name, "".into(), unconfirmed, FieldTable::default());
        Ok(Self { consumer: peer.step(consumed).await?, peer, _broker: broker })
    }

    /// The next event. A message that is not one is passed over.
    pub async fn next(&mut self) -> Result<Event, SinkError> {
        loop {
            let delivery = match self.consumer.next().await {
                Some(delivery) => delivery.map_err(|error| self.peer.error(&error))?,
                None => return Err(self.peer.unreachable("the broker ended the connection".to_owned())),
            };
            let bytes = delivery.data.as_slice();
            if let (true, Ok(message)) = (bytes.len() <= LARGEST, serde_json::from_slice::<Message>(bytes)) {
                return Ok(message.data);
            }
        }
    }
}
