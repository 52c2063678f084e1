//! Takes the events of the reconcilers: asks the handlers before a step, and puts what occurred into the spool.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::event::{Event, EventType, ImageMetadata, Object, Phase};
use super::exec::{ExecSink, Verdict};
use super::progress::ProgressQueue;
use super::retry::wait_after;
use super::settings::{EventFilter, SinkName};
use super::sink_state::{SinkState, SinkStates};
use super::spool::{Spool, SpoolError, SpoolStatus};

/// The most vetoes that are remembered. Beyond this number the handlers are asked at each pass.
const MOST_VETOES: usize = 10_000;
/// How much longer the wait before a step that was vetoed is than the wait before a delivery.
const VETO_WAIT: u32 = 10;
/// The longest wait before a step that was vetoed.
const LONGEST_VETO: Duration = Duration::from_mins(10);

/// Takes the events of the reconcilers. Cheap to clone. Without a sink it does nothing, and costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Events(Option<Arc<Hub>>);

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) spool: Spool,
    pub(super) states: SinkStates,
    /// The identity of this run of the program, which all its events have.
    pub(super) session: Uuid,
    /// The handlers that are asked before a step.
    pub(super) handlers: Vec<(SinkName, EventFilter, ExecSink)>,
    pub(super) vetoes: Mutex<HashMap<Question, Vetoed>>,
    /// One for each sink that takes progress.
    pub(super) progress: Vec<Arc<ProgressQueue>>,
}

/// What handlers are asked: whether this step may be done to this version of this object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    event: EventType,
    object: Option<Object>,
    target: Option<String>,
    sha512: Option<String>,
}

/// The last answer to a question, if it was a veto.
#[derive(Debug, Clone)]
pub(super) struct Vetoed {
    count: u32,
    veto: Veto,
}

/// A handler refused a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the handler {handler} refused it: {line}")]
pub struct Veto {
    /// The program.
    pub handler: String,
    /// Its last line, or how it ended.
    pub line: String,
    /// When the handlers are asked again.
    pub again: Timestamp,
}

impl Events {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self(Some(hub))
    }

    /// Whether any sink is configured.
    pub fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// The identity of this run of the program, which all its events have.
    pub fn session(&self) -> Uuid {
        self.0.as_ref().map_or(Uuid::nil(), |hub| hub.session)
    }

    /// Puts events of the phase [`Phase::After`], which occurred at this time in this run, into the spool. They are on the
    /// disk when this returns. It blocks for one write.
    pub fn append(&self, mut events: Vec<Event>, now: Timestamp) -> Result<(), SpoolError> {
        let Some(hub) = self.0.as_ref().filter(|_| !events.is_empty()) else { return Ok(()) };
        for event in &mut events {
            (event.session, event.time) = (hub.session, now);
        }
        hub.spool.append(&events).map(drop)
    }

    /// Asks the handlers whether a step may be done. After a veto they are asked again with back-off, from 10 s to
    /// 10 min, or at once if a user requests it (`anew`); until then the veto stays. The first veto of a step is an event
    /// [`EventType::HookVetoed`].
    pub async fn ask(&self, event: &Event, anew: bool) -> Result<(), Veto> {
        let Some(hub) = &self.0 else { return Ok(()) };
        let question = Question::of(event);
        let known = hub.vetoes().get(&question).cloned();
        if let Some(known) = known.as_ref().filter(|known| !anew && known.veto.again > event.time) {
            return Err(known.veto.clone());
        }
        match hub.asked(event).await {
            Verdict::Passed => {
                hub.vetoes().remove(&question);
                Ok(())
            }
            Verdict::Vetoed { handler, line } => {
                let count = known.map_or(1, |known| known.count.saturating_add(1));
                let wait = wait_after(count, None, fastrand::f64()).saturating_mul(VETO_WAIT).min(LONGEST_VETO);
                let again = event.time.checked_add(wait).unwrap_or(Timestamp::MAX);
                let veto = Veto { handler, line, again };
                hub.remember(question, Vetoed { count, veto: veto.clone() });
                if count == 1 {
                    hub.report(event, &veto);
                }
                Err(veto)
            }
        }
    }

    /// Runs the handlers before a step that cannot be vetoed. What they refuse is logged.
    pub async fn announce(&self, event: &Event) {
        let Some(hub) = &self.0 else { return };
        for (sink, _, handlers) in hub.of(event) {
            if let Verdict::Vetoed { handler, line } = handlers.announce(event).await {
                let (event, object) = (event.event, event.object.as_ref().map(tracing::field::display));
                tracing::warn!(%sink, %event, object, handler, "a step that cannot be vetoed is done although: {line}");
            }
        }
    }

    /// Asks the handlers whether a run over the cache may begin.
    pub async fn begin(&self, now: Timestamp) -> Result<(), Veto> {
        self.ask(&self.process(Phase::Before, now), true).await
    }

    /// Runs the handlers before a run over the cache that does not end by itself. What they refuse is logged.
    pub async fn announce_begin(&self, now: Timestamp) {
        self.announce(&self.process(Phase::Before, now)).await;
    }

    /// The run over the cache has ended, without a failure of the program itself.
    pub fn end(&self, now: Timestamp) {
        if let Err(error) = self.append(vec![self.process(Phase::After, now)], now) {
            tracing::warn!(%error, "the event of the end is lost");
        }
    }

    /// The event that handlers get before a step to a version of an object.
    pub fn before(
        &self,
        event: EventType,
        (object, target): (Object, Option<String>),
        image: ImageMetadata,
        now: Timestamp,
    ) -> Event {
        let (object, image) = (Some(object), Some(Box::new(image)));
        let event = Event::new(Uuid::new_v4(), event, Phase::Before);
        Event { session: self.session(), time: now, object, target, image, ..event }
    }

    fn process(&self, phase: Phase, now: Timestamp) -> Event {
        Event { session: self.session(), time: now, ..Event::new(Uuid::new_v4(), EventType::Process, phase) }
    }

    /// Whether any sink takes progress.
    pub fn take_progress(&self) -> bool {
        self.0.as_ref().is_some_and(|hub| !hub.progress.is_empty())
    }

    /// Gives an event of the phase [`Phase::Progress`] to the sinks that take it. `ends`: it is the last one of its step.
    /// Each sink gets the newest one of a step at most once a second, and always the last one, unless it cannot be
    /// reached: progress is not kept. Never blocks.
    pub fn progress(&self, event: &Event, ends: bool) {
        for queue in self.0.iter().flat_map(|hub| &hub.progress) {
            queue.put(event, ends);
        }
    }

    /// The state of the spool and of each sink; `None` without a sink.
    pub fn figures(&self) -> Option<(Result<SpoolStatus, SpoolError>, BTreeMap<SinkName, SinkState>)> {
        self.0.as_ref().map(|hub| (hub.spool.status(), hub.states.all()))
    }
}

impl Hub {
    fn vetoes(&self) -> MutexGuard<'_, HashMap<Question, Vetoed>> {
        // Entries are replaced as a whole, so a panic in another thread cannot leave them half changed.
        self.vetoes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, question: Question, last: Vetoed) {
        let mut known = self.vetoes();
        if known.len() < MOST_VETOES || known.contains_key(&question) {
            known.insert(question, last);
        }
    }

    fn of<'h>(&'h self, event: &'h Event) -> impl Iterator<Item = &'h (SinkName, EventFilter, ExecSink)> {
        self.handlers.iter().filter(move |(_, filter, _)| filter.takes(event))
    }

    async fn asked(&self, event: &Event) -> Verdict {
        for (_, _, handlers) in self.of(event) {
            let verdict = handlers.ask(event).await;
            if verdict != Verdict::Passed {
                return verdict;
            }
        }
        Verdict::Passed
    }

    fn report(&self, event: &Event, veto: &Veto) {
        let vetoed = Event {
            id: Uuid::new_v4(),
            event: EventType::HookVetoed,
            phase: Phase::After,
            reason: Some(event.event.to_string()),
            message: Some(veto.to_string()),
            ..event.clone()
        };
        if let Err(error) = self.spool.append(&[vetoed]) {
            tracing::warn!(%error, "the event HookVetoed is lost");
        }
    }
}

impl Question {
    fn of(event: &Event) -> Self {
        let sha512 = event.image.as_ref().map(|image| image.sha512.clone());
        Self { event: event.event, object: event.object.clone(), target: event.target.clone(), sha512 }
    }
}
