//! Handles the events of the watches. The store is updated before objects are woken.

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
use crate::run::dependents::Change;
use crate::store::ResourceStore;
use crate::store::kubernetes::words;

/// If a page of a list does not arrive within this time, the list is requested again. The time-out of kube is that of a
/// watch, in which minutes can pass between events.
const LONGEST_LIST: Duration = Duration::from_secs(30);
/// The longest back-off of kube after an error.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(1);

/// Whether an object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
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
    follow: fn(&Shared, &K, Seen),
) {
    let mut events = events::<K>(&shared, scope.as_deref());
    let mut patience = Some(LONGEST_LIST);
    loop {
        let Some(event) = within(patience, events.next()).await else {
            tracing::warn!(kind = %K::kind(&()), wait = patience.map(|time| time.as_secs_f64()), "the API server sent no list; it is asked for again");
            events = self::events::<K>(&shared, scope.as_deref());
            continue;
        };
        let Some(event) = event else { return };
        if let Ok(event) = &event {
            if is_of_another_shard(&shared, event) {
                continue;
            }
            writer.apply_watcher_event(event);
        }
        match event {
            Ok(Event::Apply(object)) => follow(&shared, &object, Seen::There),
            Ok(Event::Delete(object)) => {
                shared.store().write_overlay.forget::<K>(&ObjectKey::of(&object));
                follow(&shared, &object, Seen::Gone);
            }
            Ok(Event::InitDone) => {
                patience = None;
                listed(&shared, scope.as_deref(), &store, follow);
            }
            Ok(Event::Init | Event::InitApply(_)) => patience = Some(LONGEST_LIST),
            Err(error) => {
                patience = patience.map(|_| LONGEST_LIST + LONGEST_BACK_OFF);
                interrupted::<K>(&shared, &error);
            }
        }
    }
}

/// The store has all objects of the kind.
fn listed<K: Resource>(shared: &Shared, scope: Option<&str>, store: &Store<K>, follow: fn(&Shared, &K, Seen)) {
    shared.store().cache_sync.came::<K>(scope);
    shared.forget_gone();
    for object in store.state() {
        follow(shared, &object, Seen::There);
    }
}

/// Whether an event is about an object that another process works for.
fn is_of_another_shard<K: Resource>(shared: &Shared, event: &Event<K>) -> bool {
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => {
            !shared.store().covers(object.meta().namespace.as_deref().unwrap_or_default())
        }
        Event::Init | Event::InitDone => false,
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

pub(super) fn endorser(shared: &Shared, object: &Endorser, _seen: Seen) {
    shared.wake(&Change::Endorser(object));
}

pub(super) fn subscription(shared: &Shared, object: &ImageListSubscription, seen: Seen) {
    if seen == Seen::Gone {
        shared.forget_subscription(&ObjectKey::of(object));
    }
    shared.wake(&Change::Subscription(object));
}

pub(super) fn image(shared: &Shared, object: &CachedImage, seen: Seen) {
    match seen {
        Seen::There => shared.wake(&Change::Image(object)),
        Seen::Gone => {
            shared.wake(&Change::ImageGone(object));
            if let Some(event) = gone_while_held(&shared.context, object) {
                let context = shared.context.clone();
                tokio::spawn(async move { context.store.publish_event(event).await });
            }
            shared.forget_image(&ObjectKey::of(object));
        }
    }
}

pub(super) fn target(shared: &Shared, object: &CloudTarget, seen: Seen) {
    let key = ObjectKey::of(object);
    let generation = (seen == Seen::There).then_some(object.metadata.generation).flatten();
    let is_spec = shared.target_changed(&key, generation);
    shared.wake(&if is_spec { Change::TargetSpec(&key) } else { Change::Target(&key) });
}
