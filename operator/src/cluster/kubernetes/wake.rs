//! Which objects are to be looked at next.

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::ObjectRef;

use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};
use crate::reconcile::{ObjectKey, Resource};

/// The ways to the queues of one scope. A queue holds an object once, however often it is woken.
pub(super) struct Wakes {
    endorsers: UnboundedSender<ReconcileRequest<Endorser>>,
    subscriptions: UnboundedSender<ReconcileRequest<ImageListSubscription>>,
    images: UnboundedSender<ReconcileRequest<CachedImage>>,
    targets: UnboundedSender<ReconcileRequest<CloudTarget>>,
}

/// The other ends.
pub(super) struct Requests {
    pub endorsers: UnboundedReceiver<ReconcileRequest<Endorser>>,
    pub subscriptions: UnboundedReceiver<ReconcileRequest<ImageListSubscription>>,
    pub images: UnboundedReceiver<ReconcileRequest<CachedImage>>,
    pub targets: UnboundedReceiver<ReconcileRequest<CloudTarget>>,
}

impl Wakes {
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
        (Self { endorsers, subscriptions, images, targets }, requests)
    }

    pub(super) fn endorser(&self, key: &ObjectKey) {
        send(&self.endorsers, key);
    }

    pub(super) fn subscription(&self, key: &ObjectKey) {
        send(&self.subscriptions, key);
    }

    pub(super) fn target(&self, key: &ObjectKey) {
        send(&self.targets, key);
    }

    pub(super) fn image(&self, key: &ObjectKey) {
        send(&self.images, key);
    }
}

fn send<K: Resource>(queue: &UnboundedSender<ReconcileRequest<K>>, key: &ObjectKey) {
    // The queue is closed only while the program stops.
    let _stopping = queue.unbounded_send(ObjectRef::new(&key.name).within(&key.namespace).into());
}
