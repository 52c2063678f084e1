//! State that passes and watches share.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::work_queues::WorkQueues;
use crate::api::{CachedImage, CloudTarget, ImageListSubscription, Kind, ObjectKey};
use crate::metrics::Work;
use crate::reconcile::Context;
use crate::reconcile::subscription::FetchTrigger;
use crate::run::dependents::{Change, Dependent, dependents};
use crate::run::pass::Passes;
use crate::store::kubernetes::{Kubernetes, Scope};
use crate::store::{ResourceStore, StoreError};

/// The longest time between two passes over an object, in case a watch has missed a change.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);
/// The shortest time between two passes over an object that was not woken.
const SHORTEST_SLEEP: Duration = Duration::from_millis(300);
/// The wait after a failed pass. It doubles with each further failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failed pass.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// State that passes and watches share.
pub(super) struct Shared {
    pub(super) context: Arc<Context<Kubernetes>>,
    queues: Vec<WorkQueues>,
    pub(super) passes: Passes,
    failures: Mutex<HashMap<(Kind, ObjectKey), u32>>,
    /// The generation of each target that its images were last woken for.
    targets: Mutex<HashMap<ObjectKey, i64>>,
    /// Subscriptions whose next pass fetches the list, even if it is not due.
    asked: Mutex<HashSet<ObjectKey>>,
}

impl Shared {
    pub(super) fn new(context: Arc<Context<Kubernetes>>, queues: Vec<WorkQueues>) -> Self {
        let (failures, targets, asked) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { context, queues, passes: Passes::default(), failures, targets, asked }
    }

    pub(super) fn store(&self) -> &Kubernetes {
        &self.context.store
    }

    /// Wakes the objects that depend on a change.
    pub(super) fn wake(&self, change: &Change<'_>) {
        self.wake_all(&dependents(&self.context, change));
    }

    /// Wakes objects.
    pub(super) fn wake_all(&self, objects: &[Dependent]) {
        for object in objects {
            if let Some(queues) = self.queues(&object.key.namespace) {
                queues.wake(object);
            }
        }
    }

    /// The senders to the queues of a namespace.
    fn queues(&self, namespace: &str) -> Option<&WorkQueues> {
        let covers = |scope: &Scope| scope.namespace.as_deref().is_none_or(|own| own == namespace);
        self.queues.get(self.store().scopes.iter().position(covers)?)
    }

    /// The time until the next pass, from the result of the last one. Counts failures.
    pub(super) fn settled(
        &self,
        kind: Kind,
        key: &ObjectKey,
        ended: Result<Option<Timestamp>, StoreError>,
    ) -> Duration {
        let mut failures = lock(&self.failures);
        let counted = (kind, key.clone());
        match ended {
            Ok(wake) => {
                failures.remove(&counted);
                let wait = wake.map(|wake| Duration::try_from(wake.duration_since(Timestamp::now())));
                let wait = wait.map_or(LONGEST_SLEEP, Result::unwrap_or_default);
                wait.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
            }
            Err(error) => {
                let count = failures.entry(counted).or_default();
                *count += 1;
                let wait = wait_after(*count);
                drop(failures);
                self.context.metrics.retried(Work::Resource, error.reason());
                tracing::warn!(%kind, object = %key, reason = error.reason(), wait = wait.as_secs_f64(), "the pass could not be finished: {error}");
                wait
            }
        }
    }

    /// Makes the next pass of a subscription fetch its list.
    pub(super) fn request_fetch(&self, key: ObjectKey) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// Whether the pass that begins must fetch the list.
    pub(super) fn ask(&self, key: &ObjectKey) -> FetchTrigger {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if asked { FetchTrigger::Now } else { FetchTrigger::WhenDue }
    }

    /// Whether the images of a target must be woken: it is new, its generation has changed, or it was deleted (`None`).
    pub(super) fn target_changed(&self, key: &ObjectKey, generation: Option<i64>) -> bool {
        let mut targets = lock(&self.targets);
        if let Some(generation) = generation {
            return targets.insert(key.clone(), generation) != Some(generation);
        }
        targets.remove(key);
        drop(targets);
        self.forget_publications();
        true
    }

    fn forget_publications(&self) {
        let store = self.store();
        self.context
            .publications
            .retain(|key| store.get::<CachedImage>(key).is_some(), |key| store.get::<CloudTarget>(key).is_some());
    }

    /// Removes the state of objects that were deleted while a watch was interrupted.
    pub(super) fn forget_gone(&self) {
        let store = self.store();
        self.context.lists.retain(|key| store.get::<ImageListSubscription>(key).is_some());
        self.passes.forget_gone(store).iter().for_each(|key| self.forget_subscription(key));
        let images = self.context.downloads.wanted().into_iter().map(|(image, _)| image);
        images.filter(|key| store.get::<CachedImage>(key).is_none()).for_each(|key| self.forget_image(&key));
        self.forget_publications();
    }

    pub(super) fn forget_subscription(&self, key: &ObjectKey) {
        self.context.lists.set(key.clone(), None);
        self.context.pending.set(key, None);
        self.passes.forget(key);
        lock(&self.failures).remove(&(Kind::Subscription, key.clone()));
    }

    /// Cancels the download of a deleted image if no other object wants it. The partial download stays on the volume.
    pub(super) fn forget_image(&self, key: &ObjectKey) {
        lock(&self.failures).remove(&(Kind::Image, key.clone()));
        self.context.publications.want(key, None);
        let Some(job) = self.context.downloads.get(key) else { return };
        if self.context.downloads.let_go(key) {
            self.context.jobs.cancel(&job);
        }
    }
}

fn lock<K: Eq + Hash, V>(map: &Mutex<HashMap<K, V>>) -> MutexGuard<'_, HashMap<K, V>> {
    // Entries are replaced as a whole, so a panic in another thread cannot leave them half changed.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wait after this number of failed passes in a row.
fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_cannot_be_finished_is_tried_less_and_less_often() {
        let waits: Vec<u64> = [1, 2, 3, 9, 10, 50, u32::MAX].map(|count| wait_after(count).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 256, 300, 300, 300]);
    }
}
