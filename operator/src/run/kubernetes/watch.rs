//! Handles the events of the watches: which objects are woken by a change. The store is updated before objects are
//! woken.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::reflector::{Store, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};

use super::shared::Shared;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, ObjectKey, Resource};
use crate::reconcile::image::gone_while_held;
use crate::store::ResourceStore;
use crate::store::kubernetes::words;

/// If a page of a list does not arrive within this time, the list is requested again. The time-out of kube is that of a
/// watch, in which minutes can pass between events.
const LONGEST_LIST: Duration = Duration::from_secs(30);
/// The longest back-off of kube after an error.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(1);

/// Whether an object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It was added or changed.
    There,
    /// It was deleted.
    Gone,
}

/// Watches the objects of a kind. If the API server cannot be reached, or no longer has the resource version (410
/// Gone), the watch is restarted with back-off. Until then the known objects stay in the store.
pub(super) async fn feed<K: Resource>(
    shared: Arc<Shared>,
    scope: Option<String>,
    (store, mut writer): (Store<K>, Writer<K>),
    follow: fn(&Shared, &K, Change),
) {
    let mut events = events::<K>(&shared, scope.as_deref());
    let mut patience = Some(LONGEST_LIST);
    loop {
        let Some(event) = within(patience, events.next()).await else {
            tracing::warn!(kind = %K::kind(&()), ?patience, "the API server sent no list; it is asked for again");
            events = self::events::<K>(&shared, scope.as_deref());
            continue;
        };
        let Some(event) = event else { return };
        if let Ok(event) = &event {
            writer.apply_watcher_event(event);
        }
        match event {
            Ok(Event::Apply(object)) => follow(&shared, &object, Change::There),
            Ok(Event::Delete(object)) => {
                shared.store().write_overlay.forget::<K>(&ObjectKey::of(&object));
                follow(&shared, &object, Change::Gone);
            }
            Ok(Event::InitDone) => {
                patience = None;
                shared.store().cache_sync.came::<K>(scope.as_deref());
                shared.forget_gone();
                for object in store.state() {
                    follow(&shared, &object, Change::There);
                }
            }
            Ok(Event::Init | Event::InitApply(_)) => patience = Some(LONGEST_LIST),
            Err(error) => {
                patience = patience.map(|_| LONGEST_LIST + LONGEST_BACK_OFF);
                interrupted::<K>(&shared, &error);
            }
        }
    }
}

/// Logs why a watch ended. An API server that does not have a kind is reported once.
fn interrupted<K: Resource>(shared: &Shared, error: &watcher::Error) {
    if is_not_found(error) {
        shared.store().cache_sync.is_unknown::<K>();
    } else {
        tracing::warn!(kind = %K::kind(&()), "the watch was interrupted, and is tried again: {}", told(error));
    }
}

fn is_not_found(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code == 404,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

/// The error of a watch, as text.
pub(super) fn told(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => words(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

fn events<K: Resource>(shared: &Shared, scope: Option<&str>) -> BoxStream<'static, watcher::Result<Event<K>>> {
    let client = shared.store().client.clone();
    let api: Api<K> = scope.map_or_else(|| Api::all(client.clone()), |name| Api::namespaced(client.clone(), name));
    watch(api, watcher::Config::default()).default_backoff().boxed()
}

/// Waits for a future, with a time-out if there is a limit. `None` after the time-out.
async fn within<T>(limit: Option<Duration>, coming: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, coming).await.ok(),
        None => Some(coming.await),
    }
}

/// Wakes an endorser and all subscriptions of its namespace, because a credential that one endorser revokes is revoked
/// for all.
pub(super) fn endorser(shared: &Shared, object: &Endorser, change: Change) {
    let key = ObjectKey::of(object);
    let Some(queues) = shared.queues(&key.namespace) else { return };
    if change == Change::There {
        queues.endorser(&key);
    }
    for subscription in shared.store().list::<ImageListSubscription>(&key.namespace) {
        queues.subscription(&ObjectKey::of(&*subscription));
    }
}

/// Wakes a subscription; the endorsers that it names, which count their subscriptions; and the targets that are being
/// deleted, which may wait for an image that the subscription creates again. Its images are woken by its pass.
pub(super) fn subscription(shared: &Shared, object: &ImageListSubscription, change: Change) {
    let key = ObjectKey::of(object);
    let Some(queues) = shared.queues(&key.namespace) else { return };
    match change {
        Change::There => queues.subscription(&key),
        Change::Gone => shared.forget_subscription(&key),
    }
    for endorser in &object.spec.verify.endorser_refs {
        queues.endorser(&key.sibling(&endorser.name));
    }
    let targets = shared.store().list::<CloudTarget>(&key.namespace);
    let going = targets.iter().filter(|target| target.metadata.deletion_timestamp.is_some());
    going.for_each(|target| queues.target_soon(&ObjectKey::of(&**target)));
}

/// Wakes an image, and its subscription, which counts its images and creates a deleted image again if it is still
/// selected.
pub(super) fn image(shared: &Shared, object: &CachedImage, change: Change) {
    let key = ObjectKey::of(object);
    let Some(queues) = shared.queues(&key.namespace) else { return };
    match change {
        Change::There => queues.image(&key),
        Change::Gone => {
            // A target that is being deleted may wait for this image only.
            let known = object.status.iter().flat_map(|status| &status.targets).map(|target| target.name.clone());
            let wanted =
                shared.context.publications.desired(&key).into_iter().flat_map(|desired| desired.at.into_keys());
            known.chain(wanted).for_each(|name| queues.target_soon(&key.sibling(&name)));
            if let Some(event) = gone_while_held(&shared.context, object) {
                let context = shared.context.clone();
                tokio::spawn(async move { context.store.publish_event(event).await });
            }
            shared.forget_image(&key);
        }
    }
    queues.subscription_soon(&key.sibling(&object.spec.subscription_ref.name));
}

/// Wakes a target. If the target is new or deleted, or its spec has changed, wakes the images of its namespace too.
pub(super) fn target(shared: &Shared, object: &CloudTarget, change: Change) {
    let key = ObjectKey::of(object);
    let Some(queues) = shared.queues(&key.namespace) else { return };
    if change == Change::There {
        queues.target(&key);
    }
    let generation = (change == Change::There).then_some(object.metadata.generation).flatten();
    if !shared.target_changed(&key, generation) {
        return;
    }
    for image in shared.store().list::<CachedImage>(&key.namespace) {
        queues.image(&ObjectKey::of(&*image));
    }
}
