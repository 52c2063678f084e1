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
pub(super) struct Results(BTreeMap<(Kind, ObjectKey), Last>);

struct Last {
    ended: Result<Option<Timestamp>, String>,
    /// Whether the object has had no pass, because it would have changed nothing.
    is_left_out: bool,
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
        self.0.insert((kind, key), Last { ended, is_left_out: false });
    }

    /// Records until when passes over images are left out.
    pub(super) fn leave_out(&mut self, images: Vec<(ObjectKey, Timestamp)>) {
        let images = images.into_iter().map(|(key, until)| {
            let image = (Kind::Image, key);
            let is_left_out = self.0.get(&image).is_none_or(|last| last.is_left_out);
            (image, Last { ended: Ok(Some(until)), is_left_out })
        });
        // All at once: one after the other takes several times as long.
        let mut images: BTreeMap<_, _> = images.collect();
        self.0.append(&mut images);
    }

    /// The images that had no pass, because it would have changed nothing.
    pub(super) fn left_out(&self) -> BTreeSet<ObjectKey> {
        self.0.iter().filter(|(_, last)| last.is_left_out).map(|((_, key), _)| key.clone()).collect()
    }

    /// When the next object is due.
    pub(super) fn requeue_at(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|last| last.ended.as_ref().ok().copied().flatten()).min()
    }

    /// The objects that are due.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (Kind, ObjectKey)> {
        let is_due = move |last: &Last| matches!(last.ended, Ok(Some(at)) if at <= now);
        self.0.iter().filter(move |(_, last)| is_due(last)).map(|(object, _)| object.clone())
    }

    /// The errors of passes.
    pub(super) fn errors(&self) -> Vec<String> {
        self.0.values().filter_map(|last| last.ended.as_ref().err().cloned()).collect()
    }
}

pub(super) fn sleep_until(requeue_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let until =
        requeue_at.map(|requeue_at| Duration::try_from(requeue_at.duration_since(now)).unwrap_or(Duration::ZERO));
    until.unwrap_or(LONGEST_SLEEP).clamp(QUIET, LONGEST_SLEEP)
}
