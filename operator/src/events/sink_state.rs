//! How each sink does, for metrics and conditions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::settings::SinkName;

/// How each sink does. Cheap to clone: all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct SinkStates(Arc<Mutex<BTreeMap<SinkName, SinkState>>>);

/// How a sink does, since the start of the program. What waits for it and what it lost is in the status of the spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkState {
    /// Events that the receiver took.
    pub delivered: u64,
    /// Events that the receiver refused for good.
    pub refused: u64,
    /// Deliveries that failed, by reason.
    pub errors: BTreeMap<&'static str, u64>,
    /// Why nothing can be delivered now; `None` if the last delivery succeeded.
    pub failing: Option<Failing>,
}

/// Why a sink cannot deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The reason, one word.
    pub reason: &'static str,
    /// What was found, one line.
    pub message: String,
    /// When the first of the failures in a row occurred.
    pub since: Timestamp,
    /// How many failures in a row there are.
    pub failures: u64,
}

impl SinkStates {
    /// The states of all sinks that had something to do.
    pub fn all(&self) -> BTreeMap<SinkName, SinkState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state of a sink.
    pub fn of(&self, sink: &SinkName) -> SinkState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(sink).cloned().unwrap_or_default()
    }

    /// Counts what the receiver took and refused.
    pub(super) fn handled(&self, sink: &SinkName, delivered: u64, refused: u64) {
        self.change(sink, |state| {
            state.delivered += delivered;
            state.refused += refused;
        });
    }

    /// Records a failure. Returns the reason of the failure before it, if that was the last delivery.
    pub(super) fn failed(&self, sink: &SinkName, reason: &'static str, message: String) -> Option<&'static str> {
        self.change(sink, |state| {
            *state.errors.entry(reason).or_default() += 1;
            let before = state.failing.take();
            let (since, failures) =
                before.as_ref().map_or((Timestamp::now(), 1), |before| (before.since, before.failures + 1));
            state.failing = Some(Failing { reason, message, since, failures });
            before.map(|before| before.reason)
        })
    }

    /// Records that the sink delivers. Returns the failure that ended, if there was one.
    pub(super) fn recovered(&self, sink: &SinkName) -> Option<Failing> {
        self.change(sink, |state| state.failing.take())
    }

    fn change<T>(&self, sink: &SinkName, change: impl FnOnce(&mut SinkState) -> T) -> T {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(states.entry(sink.clone()).or_default())
    }
}
