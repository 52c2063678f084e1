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
use super::watch::{self, Change};
use crate::api::{CloudTarget, Endorser, FilesSource, ImageListSubscription, ObjectKey, ObjectReference};
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
        let Some(queues) = shared.queues(&key.namespace) else { return };
        for object in shared.store().list::<ImageListSubscription>(&key.namespace) {
            if subscription_secrets(&object).any(|name| name == key.name) {
                // A server that refused the old credentials may accept the new ones.
                shared.request_fetch(ObjectKey::of(&*object));
                queues.subscription(&ObjectKey::of(&*object));
            }
        }
        for object in shared.store().list::<CloudTarget>(&key.namespace) {
            if target_secrets(&object).any(|name| name == key.name) {
                queues.target(&ObjectKey::of(&*object));
            }
        }
        endorsers_changed(shared, key, |files| files.secret_ref.as_ref());
    }
}

impl Referenced for ConfigMap {
    fn changed(shared: &Shared, key: &ObjectKey) {
        endorsers_changed(shared, key, |files| files.config_map_ref.as_ref());
    }
}

/// Wakes the endorsers whose trust anchors or OpenPGP keys changed, and the subscriptions of their namespace.
fn endorsers_changed(shared: &Shared, key: &ObjectKey, reference: fn(&FilesSource) -> Option<&ObjectReference>) {
    for endorser in shared.store().list::<Endorser>(&key.namespace) {
        let keys = endorser.spec.credentials.iter().filter_map(|credential| credential.open_pgp.as_ref());
        let keys = keys.filter_map(|open_pgp| open_pgp.public_key_from.as_ref());
        let mut named = endorser.spec.trust_anchors.iter().chain(keys).filter_map(reference);
        if named.any(|reference| reference.name == key.name) {
            watch::endorser(shared, &endorser, Change::There);
        }
    }
}

fn subscription_secrets(object: &ImageListSubscription) -> impl Iterator<Item = &str> {
    let source = &object.spec.source;
    let references = [&source.secret_ref, &source.tls.cert_secret_ref, &object.spec.verify.decryption_secret_ref];
    references.into_iter().flatten().map(|reference| reference.name.as_str())
}

fn target_secrets(object: &CloudTarget) -> impl Iterator<Item = &str> {
    let clouds = object.spec.open_nebula.iter();
    let references = clouds.flat_map(|cloud| std::iter::once(&cloud.secret_ref).chain(&cloud.tls.cert_secret_ref));
    references.map(|reference| reference.name.as_str())
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
