//! Progress: the newest figures of each running step, for the sinks that take them. Nothing of it is kept on the disk.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::event::{Event, EventType, Object, Phase};
use super::retry::wait_after;
use super::settings::{EventFilter, SinkName};
use super::sink::{Delivery, Sink};
use crate::text::one_line;

/// A sink gets the progress of a step at most once in this time.
const EVERY: Duration = Duration::from_secs(1);
/// The most steps whose progress waits for a sink. Further ones are dropped.
const MOST_STEPS: usize = 4096;
/// How many events are delivered at once.
const MOST_AT_ONCE: usize = 256;
/// The longest wait after a delivery that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The most characters of a message of a receiver.
const MESSAGE: usize = 500;

/// The progress that waits for one sink.
#[derive(Debug)]
pub(super) struct ProgressQueue {
    filter: EventFilter,
    steps: Mutex<BTreeMap<Step, Waiting>>,
    changed: Notify,
}

/// What is in progress.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    object: Option<Object>,
    event: EventType,
    target: Option<String>,
}

/// The progress of a step that waits.
#[derive(Debug, Default)]
struct Waiting {
    /// The last event of a step that has ended. A later one of the same name does not replace it, unless it ends too.
    last: Option<Event>,
    newest: Option<Event>,
    /// Nothing is delivered before.
    free_at: Option<Instant>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.last.is_none() && self.newest.is_none()
    }

    fn is_free(&self, now: Instant) -> bool {
        self.free_at.is_none_or(|at| at <= now)
    }
}

impl ProgressQueue {
    /// The queue of a sink; `None` if it takes no progress.
    pub(super) fn of(filter: &EventFilter) -> Option<Self> {
        let of_progress = [EventType::Download, EventType::Convert, EventType::Publish];
        let takes =
            filter.phases.contains(&Phase::Progress) && of_progress.iter().any(|event| filter.types.contains(event));
        takes.then(|| Self { filter: filter.clone(), steps: Mutex::default(), changed: Notify::new() })
    }

    /// Replaces the progress of a step that waits. `ends`: it is the last one of this step. Never blocks.
    pub(super) fn put(&self, event: &Event, ends: bool) {
        if !self.filter.takes(event) {
            return;
        }
        let step = Step { object: event.object.clone(), event: event.event, target: event.target.clone() };
        let mut steps = self.steps();
        if steps.len() >= MOST_STEPS && !steps.contains_key(&step) {
            return;
        }
        let waiting = steps.entry(step).or_default();
        if ends {
            (waiting.last, waiting.newest) = (Some(event.clone()), None);
        } else {
            waiting.newest = Some(event.clone());
        }
        drop(steps);
        self.changed.notify_one();
    }

    /// Takes what may be delivered now, first the steps that waited longest, and returns when more may be.
    fn take(&self, now: Instant) -> (Vec<Event>, Option<Instant>) {
        let mut steps = self.steps();
        let mut free: Vec<&mut Waiting> =
            steps.values_mut().filter(|waiting| waiting.is_free(now) && !waiting.is_empty()).collect();
        // Otherwise a sink that is slow would get the first steps again and again.
        free.sort_by_key(|waiting| waiting.free_at);
        let mut taken = Vec::new();
        for waiting in free.into_iter().take(MOST_AT_ONCE) {
            taken.extend(waiting.last.take().or_else(|| waiting.newest.take()));
            waiting.free_at = Some(now + EVERY);
        }
        let waits = steps.values().filter(|waiting| !waiting.is_empty());
        let next = waits.map(|waiting| waiting.free_at.unwrap_or(now)).min();
        steps.retain(|_, waiting| !waiting.is_empty() || !waiting.is_free(now));
        (taken, next)
    }

    /// Takes everything that waits.
    fn take_all(&self) -> Vec<Event> {
        let steps = std::mem::take(&mut *self.steps());
        steps.into_values().flat_map(|waiting| [waiting.last, waiting.newest]).flatten().collect()
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<Step, Waiting>> {
        // Entries are replaced as a whole, so a panic in another thread cannot leave them half changed.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delivers progress to a sink until `stop` is cancelled, and then what waits. What cannot be delivered is dropped. After
/// a failure the sink is left alone for 1 s, doubled with each failure up to 30 s; meanwhile newer progress replaces older.
/// A delivery that runs when `stop` is cancelled has `grace` to end, and the last one too.
pub(super) async fn deliver_progress<S: Sink>(
    queue: &ProgressQueue,
    sink: &mut S,
    name: &SinkName,
    grace: Duration,
    stop: &CancellationToken,
) {
    let mut failures = Failures { sink: name, count: 0 };
    while !stop.is_cancelled() {
        let (events, next) = queue.take(Instant::now());
        if events.is_empty() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = queue.changed.notified() => {}
                () = until(next) => {}
            }
            continue;
        }
        let end = async {
            stop.cancelled().await;
            sleep(grace).await;
        };
        let delivery = tokio::select! {
            biased;
            delivery = sink.deliver(&events) => delivery,
            () = end => return,
        };
        if let Some(wait) = failures.record(&delivery) {
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(wait) => {}
            }
        }
    }
    deliver_rest(queue.take_all(), sink, &mut failures, grace).await;
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

async fn deliver_rest<S: Sink>(events: Vec<Event>, sink: &mut S, failures: &mut Failures<'_>, grace: Duration) {
    let deliveries = async {
        for events in events.chunks(MOST_AT_ONCE) {
            let delivery = sink.deliver(events).await;
            if failures.record(&delivery).is_some() {
                return;
            }
        }
    };
    // It is progress: what is late is dropped.
    let _in_time = timeout(grace, deliveries).await;
}

/// Failures in a row.
struct Failures<'n> {
    sink: &'n SinkName,
    count: u32,
}

impl Failures<'_> {
    /// Records a delivery, and returns the wait before the next one if it failed. The first failure and the recovery are
    /// logged.
    fn record(&mut self, delivery: &Delivery) -> Option<Duration> {
        let sink = self.sink;
        for (id, words) in &delivery.refused {
            tracing::debug!(%sink, %id, words = %one_line(words.as_bytes(), MESSAGE), "the receiver refused progress");
        }
        let Some(error) = &delivery.stopped else {
            if self.count > 0 {
                tracing::info!(%sink, failures = self.count, "progress is delivered again");
            }
            self.count = 0;
            return None;
        };
        self.count = self.count.saturating_add(1);
        let message = one_line(error.to_string().as_bytes(), MESSAGE);
        if self.count == 1 {
            tracing::warn!(%sink, reason = error.reason(), error = %message, "progress is not delivered");
        } else {
            tracing::debug!(%sink, reason = error.reason(), error = %message, "progress is still not delivered");
        }
        Some(wait_after(self.count, error.retry_after(), fastrand::f64()).min(LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests;
