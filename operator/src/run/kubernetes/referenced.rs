//! Watches Secrets and ConfigMaps if the program watches named namespaces: a change wakes the objects that refer to
//! them. Only metadata is watched; the content is read when it is needed, and not kept in memory. If the program
//! watches all namespaces, neither kind is watched, because that would need the right to read every Secret of the
//! cluster. Then they are read at each pass.

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;

use super::shared::Shared;
use super::watch;
use crate::api::{ImageListSubscription, ObjectKey};
use crate::run::dependents::{Change, subscription_secrets};
use crate::store::ResourceStore;

/// A kind that other objects refer to by name.
pub(super) trait Referenced:
    kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
    /// Wakes the objects that refer to the object.
    fn changed(shared: &Shared, key: &ObjectKey);
}

impl Referenced for Secret {
    fn changed(shared: &Shared, key: &ObjectKey) {
        // A server that refused the old credentials may accept the new ones.
        let subscriptions = shared.store().list::<ImageListSubscription>(&key.namespace).into_iter();
        let naming = subscriptions.filter(|object| subscription_secrets(object).any(|name| name == key.name));
        naming.for_each(|object| shared.request_fetch(ObjectKey::of(&*object)));
        shared.wake(&Change::Secret(key));
    }
}

impl Referenced for ConfigMap {
    fn changed(shared: &Shared, key: &ObjectKey) {
        shared.wake(&Change::ConfigMap(key));
    }
}

/// Watches the objects of a kind.
pub(super) async fn follow<K: Referenced>(shared: Arc<Shared>, api: Api<PartialObjectMeta<K>>) {
    let mut events = pin!(watcher(api, Config::default()).default_backoff());
    // No pass has read the objects of the first list yet, so they wake nothing.
    let (mut began, mut versions) = (false, HashMap::new());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let (key, version) = (ObjectKey::of(&object), object.resource_version());
                if versions.insert(key.clone(), version.clone()) != Some(version) && began {
                    K::changed(&shared, &key);
                }
            }
            Ok(Event::Delete(object)) => {
                let key = ObjectKey::of(&object);
                versions.remove(&key);
                K::changed(&shared, &key);
            }
            Ok(Event::InitDone) => began = true,
            Ok(Event::Init) => {}
            Err(error) => {
                let told = watch::told(&error);
                tracing::warn!(kind = %K::kind(&()), "the watch was interrupted, and is tried again: {told}");
            }
        }
    }
}
