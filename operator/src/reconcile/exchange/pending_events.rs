//! Events that are not published yet, because the status of their object could not be written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::api::{Kind, ObjectKey};
use crate::store::ObjectEvent;

/// The maximum number of events that are kept for one object, because writing may fail for days.
const MOST: usize = 20;

/// Events that are not published yet, by object. A pass finds events by comparing with the status, so it finds the same
/// events again after a status that was not written. They are kept here so that each is published once.
#[derive(Debug, Default)]
pub struct PendingEvents(Mutex<HashMap<(Kind, ObjectKey), Vec<Waiting>>>);

/// An event that waits for the status.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Waiting {
    pub(in crate::reconcile) event: ObjectEvent,
    /// The event was already published, but the status is not written yet.
    pub(in crate::reconcile) published: bool,
    /// The sinks have the event.
    pub(in crate::reconcile) spooled: bool,
}

impl PendingEvents {
    /// Takes the waiting events of an object and adds those that its pass found now, each once.
    pub(in crate::reconcile) fn take(&self, kind: Kind, key: &ObjectKey, found: Vec<ObjectEvent>) -> Vec<Waiting> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind, key.clone()));
        let mut all = kept.unwrap_or_default();
        for event in found {
            if !all.iter().any(|waiting| waiting.event == event) {
                all.push(Waiting { event, published: false, spooled: false });
            }
        }
        all
    }

    /// Whether events of an object wait for its next pass.
    pub(in crate::reconcile) fn waits(&self, kind: Kind, key: &ObjectKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&(kind, key.clone()))
    }

    /// Keeps events for the object's next pass; only the newest if there are too many.
    pub(in crate::reconcile) fn keep(&self, kind: Kind, key: &ObjectKey, mut waiting: Vec<Waiting>) {
        waiting.drain(..waiting.len().saturating_sub(MOST));
        if !waiting.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, key.clone()), waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: usize) -> ObjectEvent {
        let key = ObjectKey::new("default", "vo");
        ObjectEvent {
            kind: Kind::Subscription,
            key,
            warning: true,
            reason: "Timeout".to_owned(),
            message: message.to_string(),
        }
    }

    #[test]
    fn each_is_kept_once_and_the_newest_of_too_many() {
        let (pending_events, key) = (PendingEvents::default(), ObjectKey::new("default", "vo"));
        for round in 0..2 {
            for message in 0..30 {
                let found = pending_events.take(Kind::Subscription, &key, vec![event(29), event(message)]);
                pending_events.keep(Kind::Subscription, &key, found);
            }
            let kept = pending_events.take(Kind::Subscription, &key, Vec::new());
            assert_eq!(kept.len(), MOST, "round {round}");
            assert!(kept.iter().any(|waiting| waiting.event == event(28)), "{kept:?}");
        }
        assert!(pending_events.take(Kind::Subscription, &key, Vec::new()).is_empty(), "what was taken is told");
        pending_events.keep(Kind::Subscription, &key, pending_events.take(Kind::Subscription, &key, vec![event(1)]));
        assert!(pending_events.take(Kind::Image, &key, Vec::new()).is_empty(), "another object of the name");
    }
}
