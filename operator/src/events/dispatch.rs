//! Delivers what is in the spool: one task for each sink, each at its own speed.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::event::Event;
use super::retry::wait_after;
use super::settings::SinkName;
use super::sink::{Delivery, Sink, SinkError};
use super::sink_state::{Failing, SinkStates};
use super::spool::{Reader, SpoolError};
use crate::text::one_line;

/// How many events are delivered at once.
const MOST: usize = 256;
/// The most characters of a message of a receiver.
const MESSAGE: usize = 500;

/// [`drain`] takes no longer, whatever it is asked for.
const LONGEST_DRAIN: Duration = Duration::from_hours(24);

/// What is left after [`drain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// The sink.
    pub sink: SinkName,
    /// The events that still wait; `None` if the spool cannot be read.
    pub remaining: Option<u64>,
    /// Why they wait, if the last delivery failed.
    pub failing: Option<Failing>,
}

impl Drained {
    /// Whether events wait, or may wait.
    pub fn is_behind(&self) -> bool {
        self.remaining != Some(0)
    }
}

/// Delivers the events of a sink in their order until `stop` is cancelled. A delivery that is running then has `grace` to
/// end. What was not delivered stays in the spool.
///
/// After a failure the same events are tried again: after 1 s, doubled with each failure up to 5 min, or when the
/// receiver wants it. The first failure, another reason and the recovery are logged, and each refused event.
pub async fn deliver<S: Sink>(
    reader: &mut Reader,
    sink: &mut S,
    states: &SinkStates,
    grace: Duration,
    stop: &CancellationToken,
) {
    let mut dispatcher = Dispatcher { reader, sink, states, failures: 0 };
    loop {
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            found = dispatcher.reader.next(MOST) => found,
        };
        let wait = match found {
            Ok(events) => {
                let grace = async {
                    stop.cancelled().await;
                    sleep(grace).await;
                };
                let Some(wait) = dispatcher.deliver(events, grace).await else { return };
                wait
            }
            Err(error) => Some(dispatcher.spool_failed(&error)),
        };
        if let Some(wait) = wait {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }
}

/// Delivers what waits for a sink, for at most `within`, and returns what is left: for a run that ends.
pub async fn drain<S: Sink>(reader: &mut Reader, sink: &mut S, states: &SinkStates, within: Duration) -> Drained {
    let until = Instant::now() + within.min(LONGEST_DRAIN);
    let mut dispatcher = Dispatcher { reader, sink, states, failures: 0 };
    loop {
        let wait = match dispatcher.reader.ready(MOST).await {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                let Some(wait) = dispatcher.deliver(events, sleep_until(until)).await else { break };
                wait
            }
            Err(error) => Some(dispatcher.spool_failed(&error)),
        };
        let wait = wait.unwrap_or_default();
        if Instant::now() + wait >= until {
            break;
        }
        sleep(wait).await;
    }
    let sink = dispatcher.reader.sink().clone();
    let failing = states.of(&sink).failing;
    Drained { remaining: dispatcher.reader.waiting().await.ok(), failing, sink }
}

struct Dispatcher<'a, S> {
    reader: &'a mut Reader,
    sink: &'a mut S,
    states: &'a SinkStates,
    /// Failures in a row.
    failures: u32,
}

impl<S: Sink> Dispatcher<'_, S> {
    /// Delivers events, unless `end` comes first: then it returns `None`. Otherwise it returns the wait before the next
    /// delivery, if there is one.
    async fn deliver(&mut self, events: Vec<(u64, Event)>, end: impl Future<Output = ()>) -> Option<Option<Duration>> {
        let (numbers, events): (Vec<u64>, Vec<Event>) = events.into_iter().unzip();
        let delivery = tokio::select! {
            biased;
            delivery = self.sink.deliver(&events) => delivery,
            () = end => return None,
        };
        Some(self.record(&numbers, delivery).await)
    }

    /// Records a delivery, and returns the wait before the next one, if there is one.
    async fn record(&mut self, numbers: &[u64], delivery: Delivery) -> Option<Duration> {
        let Delivery { handled, refused, stopped } = delivery;
        let handled = handled.min(numbers.len());
        self.refused(&refused);
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let refused = refused.len().min(handled);
        self.states.handled(self.reader.sink(), count(handled - refused), count(refused));
        if handled > 0 {
            self.failures = 0;
        }
        let through = handled.checked_sub(1).and_then(|last| numbers.get(last));
        if let Some(through) = through
            && let Err(error) = self.reader.advance(*through).await
        {
            return Some(self.spool_failed(&error));
        }
        match stopped {
            Some(error) => Some(self.sink_failed(&error)),
            None if handled < numbers.len() => Some(self.failed("Incomplete", "the delivery ended early", None)),
            None => {
                self.recovered();
                None
            }
        }
    }

    fn refused(&self, refused: &[(Uuid, String)]) {
        let sink = self.reader.sink();
        for (id, words) in refused {
            let words = one_line(words.as_bytes(), MESSAGE);
            tracing::warn!(%sink, %id, %words, "the receiver refused the event for good");
        }
    }

    fn sink_failed(&mut self, error: &SinkError) -> Duration {
        self.failed(error.reason(), &error.to_string(), error.retry_after())
    }

    fn spool_failed(&mut self, error: &SpoolError) -> Duration {
        self.failed(error.reason(), &error.to_string(), None)
    }

    /// Records a failure, and returns the wait before the next try.
    fn failed(&mut self, reason: &'static str, message: &str, asked: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let sink = self.reader.sink();
        let message = one_line(message.as_bytes(), MESSAGE);
        let wait = wait_after(self.failures, asked, fastrand::f64());
        if self.states.failed(sink, reason, message.clone()) == Some(reason) {
            tracing::debug!(%sink, reason, wait = wait.as_secs_f64(), error = %message, "events are still not delivered");
        } else {
            tracing::warn!(%sink, reason, wait = wait.as_secs_f64(), error = %message, "events are not delivered");
        }
        wait
    }

    fn recovered(&mut self) {
        self.failures = 0;
        let sink = self.reader.sink();
        if let Some(Failing { since, failures, .. }) = self.states.recovered(sink) {
            let after = jiff::Timestamp::now().duration_since(since).as_secs();
            tracing::info!(%sink, failures, after, "events are delivered again");
        }
    }
}

#[cfg(test)]
mod tests;
