//! Wakes objects: puts them into the queues of their kinds.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use crate::api::{Kind, ObjectKey};
use crate::run::dependents::Dependent;

/// If many images change at the same time, their subscription or target is woken once, this long after the first
/// change. It is not delayed until the changes stop, which could take hours.
const TOGETHER: Duration = Duration::from_millis(500);

/// The senders to the queues of one scope. A queue holds an object once, however often it is woken.
pub(super) struct WorkQueues {
    endorsers: UnboundedSender<ObjectKey>,
    subscriptions: UnboundedSender<ObjectKey>,
    images: UnboundedSender<ObjectKey>,
    targets: UnboundedSender<ObjectKey>,
    soon: Soon,
}

/// Objects that will be woken after [`TOGETHER`], with their kinds.
#[derive(Clone, Default)]
struct Soon(Arc<Mutex<HashSet<(Kind, ObjectKey)>>>);

/// The receivers of the queues.
pub(super) struct Requests {
    pub endorsers: UnboundedReceiver<ObjectKey>,
    pub subscriptions: UnboundedReceiver<ObjectKey>,
    pub images: UnboundedReceiver<ObjectKey>,
    pub targets: UnboundedReceiver<ObjectKey>,
}

impl WorkQueues {
    pub(super) fn new() -> (Self, Requests) {
        let (endorsers, woken_endorsers) = unbounded();
        let (subscriptions, woken_subscriptions) = unbounded();
        let (images, woken_images) = unbounded();
        let (targets, woken_targets) = unbounded();
        let requests = Requests {
            endorsers: woken_endorsers,
            subscriptions: woken_subscriptions,
            images: woken_images,
            targets: woken_targets,
        };
        (Self { endorsers, subscriptions, images, targets, soon: Soon::default() }, requests)
    }

    /// Wakes an object now, or after a short delay together with others.
    pub(super) fn wake(&self, object: &Dependent) {
        let queue = match object.kind {
            Kind::Endorser => &self.endorsers,
            Kind::Subscription => &self.subscriptions,
            Kind::Image => &self.images,
            Kind::Target => &self.targets,
        };
        if object.together {
            self.soon.send(object.kind, queue, &object.key);
        } else {
            send(queue, &object.key);
        }
    }
}

impl Soon {
    /// Must be called within a tokio runtime.
    fn send(&self, kind: Kind, queue: &UnboundedSender<ObjectKey>, key: &ObjectKey) {
        let waiting = (kind, key.clone());
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(waiting.clone()) {
            return;
        }
        let (soon, queue) = (self.clone(), queue.clone());
        tokio::spawn(async move {
            tokio::time::sleep(TOGETHER).await;
            // Removed before the object is woken: a later change is seen by the pass, or wakes the object again.
            soon.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&waiting);
            send(&queue, &waiting.1);
        });
    }
}

fn send(queue: &UnboundedSender<ObjectKey>, key: &ObjectKey) {
    // The queue is closed only while the program is stopping.
    let _stopping = queue.unbounded_send(key.clone());
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changes_wake_together_and_at_the_latest_after_a_moment() {
        let (queues, mut requests) = WorkQueues::new();
        let began = tokio::time::Instant::now();
        // The changes never stop.
        let disturb = async {
            for _ in 0..100 {
                queues.wake(&Dependent { kind: Kind::Subscription, key: ObjectKey::new("n", "vo"), together: true });
                tokio::time::sleep(TOGETHER / 10).await;
            }
        };
        let mut woken = Vec::new();
        let watch = async {
            while requests.subscriptions.next().await.is_some() {
                woken.push(began.elapsed());
            }
        };
        tokio::select! {
            () = disturb => {}
            () = watch => {}
        }
        assert!(woken[0] <= TOGETHER + TOGETHER / 10, "{woken:?}");
        assert!((9..=10).contains(&woken.len()), "{woken:?}");
    }
}
