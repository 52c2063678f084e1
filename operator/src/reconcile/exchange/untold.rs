//! What happened and is not told yet, since the status that says so could not be written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::api::{Kind, ObjectKey};
use crate::store::Happening;

/// The most that is kept of one object: what happens while nothing can be written may go on for days.
const MOST: usize = 20;

/// What happened and is not told yet, by object. A pass finds what happened by comparing with the status, so one after
/// a status that was not written finds the same again: it is kept here, so that it is told once.
#[derive(Debug, Default)]
pub struct Untold(Mutex<HashMap<(Kind, ObjectKey), Vec<Waiting>>>);

/// Something that happened.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Waiting {
    pub(in crate::reconcile) happening: Happening,
    /// It was told already, and waits for the status alone.
    pub(in crate::reconcile) told: bool,
}

impl Untold {
    /// What waits of an object, with what its pass found now, each once.
    pub(in crate::reconcile) fn take(&self, kind: Kind, key: &ObjectKey, found: Vec<Happening>) -> Vec<Waiting> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind, key.clone()));
        let mut all = kept.unwrap_or_default();
        for happening in found {
            if !all.iter().any(|waiting| waiting.happening == happening) {
                all.push(Waiting { happening, told: false });
            }
        }
        all
    }

    /// Keeps it for the object's next pass; the newest, where it is too much.
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

    fn happening(message: usize) -> Happening {
        let key = ObjectKey::new("default", "vo");
        Happening {
            kind: Kind::Subscription,
            key,
            warning: true,
            reason: "Timeout".to_owned(),
            message: message.to_string(),
        }
    }

    #[test]
    fn each_is_kept_once_and_the_newest_of_too_many() {
        let (untold, key) = (Untold::default(), ObjectKey::new("default", "vo"));
        for round in 0..2 {
            for message in 0..30 {
                let found = untold.take(Kind::Subscription, &key, vec![happening(29), happening(message)]);
                untold.keep(Kind::Subscription, &key, found);
            }
            let kept = untold.take(Kind::Subscription, &key, Vec::new());
            assert_eq!(kept.len(), MOST, "round {round}");
            assert!(kept.iter().any(|waiting| waiting.happening == happening(28)), "{kept:?}");
        }
        assert!(untold.take(Kind::Subscription, &key, Vec::new()).is_empty(), "what was taken is told");
        untold.keep(Kind::Subscription, &key, untold.take(Kind::Subscription, &key, vec![happening(1)]));
        assert!(untold.take(Kind::Image, &key, Vec::new()).is_empty(), "another object of the name");
    }
}
