//! The results of passes, and how long the driver may sleep after them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::watch::QUIET;
use crate::api::{Kind, ObjectKey};
use crate::metrics::{Metrics, Work};
use crate::store::StoreError;

/// The longest time between two passes.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// The result of the last pass over each object.
#[derive(Default)]
pub(super) struct Results {
    by_object: BTreeMap<(Kind, ObjectKey), Result<Option<Timestamp>, String>>,
    /// The images that had no pass, because it would have changed nothing.
    pub(super) left_out: BTreeSet<ObjectKey>,
}

impl Results {
    /// Records the end of a pass.
    pub(super) fn take(
        &mut self,
        metrics: &Metrics,
        kind: Kind,
        key: ObjectKey,
        ended: Result<Option<Timestamp>, StoreError>,
    ) {
        let ended = ended.map_err(|error| {
            metrics.retried(Work::Resource, error.reason());
            tracing::error!(%kind, object = %key, %error, "the pass could not be finished");
            format!("{kind} {key}: {error}")
        });
        self.left_out.remove(&key);
        self.by_object.insert((kind, key), ended);
    }

    /// Records that the pass over an image is left out until a time.
    pub(super) fn leave_out(&mut self, key: ObjectKey, until: Timestamp) {
        if self.by_object.insert((Kind::Image, key.clone()), Ok(Some(until))).is_none() {
            self.left_out.insert(key);
        }
    }

    /// When the next object is due.
    pub(super) fn requeue_at(&self) -> Option<Timestamp> {
        self.by_object.values().filter_map(|ended| ended.as_ref().ok().copied().flatten()).min()
    }

    /// The objects that are due.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (Kind, ObjectKey)> {
        let is_due = move |ended: &&Result<Option<Timestamp>, String>| matches!(ended, Ok(Some(at)) if *at <= now);
        self.by_object.iter().filter(move |(_, ended)| is_due(ended)).map(|(object, _)| object.clone())
    }

    /// The errors of passes.
    pub(super) fn errors(&self) -> Vec<String> {
        self.by_object.values().filter_map(|ended| ended.as_ref().err().cloned()).collect()
    }
}

pub(super) fn sleep_until(requeue_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let until =
        requeue_at.map(|requeue_at| Duration::try_from(requeue_at.duration_since(now)).unwrap_or(Duration::ZERO));
    until.unwrap_or(LONGEST_SLEEP).clamp(QUIET, LONGEST_SLEEP)
}
