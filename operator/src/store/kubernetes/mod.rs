//! The API server of a Kubernetes cluster as the store of the resources.
//!
//! Reads use the stores of the watches; writes go to the server at once. Images are made with server-side apply of the
//! two fields that a subscription owns. Status is replaced as a whole through its subresource.

mod cache_sync;
mod call;
mod event;
mod image;
mod lease;
mod shard;
mod write_overlay;

use std::any::Any;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Event, ObjectReference, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

pub use call::counted;
pub(crate) use call::words;
pub use lease::{Election, Leadership, LeadershipLost};
pub use shard::Shard;

use self::cache_sync::CacheSync;
use self::call::{Call, call};
use self::write_overlay::WriteOverlay;
use super::secret::config_map_data;
use super::{ConfigMapData, ObjectEvent, ResourceStore, SecretData, StoreError};
use crate::api::{CachedImage, CloudTarget, Endorser, FINALIZER, ImageListSubscription, Kind, ObjectKey, Resource};
use crate::cloud::LeadershipGuard;
use crate::imagelist::ImageId;

/// The field manager, and the component that reports Events.
const MANAGER: &str = "vmcatcher-operator";
/// How often a write is tried if there are conflicts, each time with the current object.
const TRIES: usize = 5;
/// The time within which objects that are deleted together are marked. The namespace controller deletes the kinds one
/// after another, in any order, a few hundred objects per second.
const CASCADE_GRACE: SignedDuration = SignedDuration::from_secs(15);
/// Each kind is watched separately, so one watch can be ahead of another, usually by milliseconds.
const WATCH_LAG: SignedDuration = SignedDuration::from_secs(3);

/// The objects of all namespaces, or of some, on an API server.
pub struct Kubernetes {
    pub(crate) client: Client,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) write_overlay: WriteOverlay,
    host: String,
    permit: LeadershipGuard,
    /// The namespaces that other processes work for are left out; `None` if there are none.
    shard: Option<Shard>,
    pub(crate) cache_sync: CacheSync,
}

/// The unit of a watch: one namespace, or all.
pub(crate) struct Scope {
    pub(crate) namespace: Option<String>,
    pub(crate) endorsers: Store<Endorser>,
    pub(crate) subscriptions: Store<ImageListSubscription>,
    pub(crate) images: Store<CachedImage>,
    pub(crate) targets: Store<CloudTarget>,
}

/// The writers of a scope's stores.
pub(crate) struct Writers {
    pub(crate) endorsers: Writer<Endorser>,
    pub(crate) subscriptions: Writer<ImageListSubscription>,
    pub(crate) images: Writer<CachedImage>,
    pub(crate) targets: Writer<CloudTarget>,
}

/// The writers of the stores of a [`Kubernetes`], for its driver.
pub struct Watches(pub(crate) Vec<Writers>);

impl Kubernetes {
    /// The objects of these namespaces, or of all if none is given. Nothing is read until a driver runs the watches.
    pub fn new(client: Client, namespaces: &[String]) -> (Self, Watches) {
        let mut namespaces: Vec<Option<String>> = namespaces.iter().cloned().map(Some).collect();
        namespaces.sort();
        namespaces.dedup();
        if namespaces.is_empty() {
            namespaces.push(None);
        }
        let cache_sync = CacheSync::new(namespaces.iter().cloned());
        let (scopes, writers) = namespaces.into_iter().map(Scope::new).unzip();
        let (write_overlay, host, permit) = (WriteOverlay::default(), host(), LeadershipGuard::default());
        (Self { client, scopes, write_overlay, host, permit, shard: None, cache_sync }, Watches(writers))
    }

    /// The same cluster, which writes objects only while the permit is valid. Another process may lead afterwards.
    #[must_use]
    pub fn with_permit(self, permit: LeadershipGuard) -> Self {
        Self { permit, ..self }
    }

    /// The same cluster, without the namespaces that are not in this shard.
    #[must_use]
    pub fn with_shard(self, shard: Option<Shard>) -> Self {
        Self { shard, ..self }
    }

    /// Whether this process works for a namespace.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        self.shard.is_none_or(|shard| shard.has(namespace))
    }

    /// Fails if another process may lead: it may have written objects that this process has not seen.
    fn leads(&self, about: Call<'_>) -> Result<(), StoreError> {
        if self.permit.is_valid() {
            return Ok(());
        }
        let message = "this program cannot be sure that it still leads".to_owned();
        Err(StoreError::Unavailable { action: about.action, object: about.object, message })
    }

    fn scope(&self, namespace: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.namespace.as_deref().is_none_or(|own| own == namespace))
    }

    fn api<K: Resource>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn reference(&self, kind: Kind, key: &ObjectKey) -> ObjectReference {
        match kind {
            Kind::Endorser => self.reference_of::<Endorser>(key),
            Kind::Subscription => self.reference_of::<ImageListSubscription>(key),
            Kind::Image => self.reference_of::<CachedImage>(key),
            Kind::Target => self.reference_of::<CloudTarget>(key),
        }
    }

    fn reference_of<K: Resource>(&self, key: &ObjectKey) -> ObjectReference {
        let found = self.get::<K>(key).map(|object| object.object_ref(&()));
        found.unwrap_or_else(|| ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            ..ObjectReference::default()
        })
    }
}

impl Scope {
    fn new(namespace: Option<String>) -> (Self, Writers) {
        let (endorsers, endorsers_writer) = kube::runtime::reflector::store();
        let (subscriptions, subscriptions_writer) = kube::runtime::reflector::store();
        let (images, images_writer) = kube::runtime::reflector::store();
        let (targets, targets_writer) = kube::runtime::reflector::store();
        let writers = Writers {
            endorsers: endorsers_writer,
            subscriptions: subscriptions_writer,
            images: images_writer,
            targets: targets_writer,
        };
        (Self { namespace, endorsers, subscriptions, images, targets }, writers)
    }

    fn store<K: Resource>(&self) -> Option<&Store<K>> {
        let store: &dyn Any = match K::KIND {
            Kind::Endorser => &self.endorsers,
            Kind::Subscription => &self.subscriptions,
            Kind::Image => &self.images,
            Kind::Target => &self.targets,
        };
        store.downcast_ref()
    }
}

impl ResourceStore for Kubernetes {
    fn awaits(&self) -> Option<String> {
        self.cache_sync.pending()
    }

    fn get<K: Resource>(&self, key: &ObjectKey) -> Option<Arc<K>> {
        let store = self.scope(&key.namespace)?.store::<K>()?;
        let stored = store.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
        Some(self.write_overlay.newer(stored))
    }

    fn list<K: Resource>(&self, namespace: &str) -> Vec<Arc<K>> {
        let Some(store) = self.scope(namespace).and_then(Scope::store::<K>) else { return Vec::new() };
        let mut found = store.state_filter(|object: &K| object.meta().namespace.as_deref() == Some(namespace));
        found.sort_by(|a, b| a.meta().name.cmp(&b.meta().name));
        found.into_iter().map(|object| self.write_overlay.newer(object)).collect()
    }

    fn all<K: Resource>(&self) -> Vec<Arc<K>> {
        let stores = self.scopes.iter().filter_map(Scope::store::<K>);
        stores.flat_map(Store::state).map(|object| self.write_overlay.newer(object)).collect()
    }

    /// Finds out with a dry run of creating an Event, because this program has no right to read namespaces.
    async fn is_ending(&self, namespace: &str) -> Result<bool, StoreError> {
        let key = ObjectKey::new(namespace, MANAGER);
        let (reason, message) = ("Probe".to_owned(), String::new());
        let probe = ObjectEvent { kind: Kind::Image, key: key.clone(), warning: false, reason, message };
        let probe = event::event(probe, self.reference(Kind::Image, &key), &self.host, Timestamp::now());
        match self.tell(&probe, true).await {
            Ok(()) | Err(StoreError::Denied { .. }) => Ok(false),
            Err(StoreError::NamespaceEnds { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn secret(&self, key: &ObjectKey) -> Result<Option<SecretData>, StoreError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        let about = Call { action: "read", object: format!("Secret {key}"), gone: None };
        Ok(call(about, secrets.get_opt(&key.name)).await?.map(SecretData::from))
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<Option<ConfigMapData>, StoreError> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &key.namespace);
        let about = Call { action: "read", object: format!("ConfigMap {key}"), gone: None };
        Ok(call(about, maps.get_opt(&key.name)).await?.map(config_map_data))
    }

    fn watch_lag(&self) -> SignedDuration {
        WATCH_LAG
    }

    fn cascade_grace(&self) -> SignedDuration {
        CASCADE_GRACE
    }

    async fn apply_image(&self, owner: &ImageListSubscription, identifier: &ImageId) -> Result<(), StoreError> {
        let key = ObjectKey::of(owner).sibling(&identifier.object_name());
        let images = self.api::<CachedImage>(&key.namespace);
        let about = || Call { action: "make", object: format!("CachedImage {key}"), gone: None };
        self.leads(about())?;
        // If a user has just made the object, it stays as it is. The next pass sees it.
        if call(about(), images.get_metadata_opt(&key.name)).await?.is_some() {
            return Ok(());
        }
        let image = image::generated(owner, &key, identifier);
        call(about(), images.patch(&key.name, &PatchParams::apply(MANAGER), &Patch::Apply(&image))).await?;
        Ok(())
    }

    async fn delete_image(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let Some(image) = self.get::<CachedImage>(key) else { return Ok(()) };
        let about = || Call { action: "delete", object: format!("CachedImage {key}"), gone: Some((Kind::Image, key)) };
        self.leads(about())?;
        let images = self.api::<CachedImage>(&key.namespace);
        match call(about(), images.delete(&key.name, &image::only_this(&image))).await {
            // It no longer exists, or is a new object with the same name.
            Ok(_) | Err(StoreError::Gone { .. } | StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn set_finalizer<K: Resource>(&self, key: &ObjectKey, held: bool) -> Result<(), StoreError> {
        let api = self.api::<K>(&key.namespace);
        let about = |action| Call { action, object: format!("{} {key}", K::kind(&())), gone: Some((K::KIND, key)) };
        self.leads(about("change the finalizers of"))?;
        let mut last = Ok(());
        for _ in 0..TRIES {
            let object = call(about("read"), api.get(&key.name)).await?;
            let mut finalizers = object.finalizers().to_vec();
            finalizers.retain(|name| name != FINALIZER);
            finalizers.extend(held.then(|| FINALIZER.to_owned()));
            if finalizers == object.finalizers() {
                return Ok(());
            }
            // With the resource version, the server refuses the change if the finalizers have been changed since they
            // were read.
            let change = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
            let (manager, change) = (manager(), Patch::Merge(&change));
            match call(about("change the finalizers of"), api.patch(&key.name, &manager, &change)).await {
                Ok(object) => {
                    self.write_overlay.put(object);
                    return Ok(());
                }
                Err(error @ StoreError::Conflict { .. }) => last = Err(error),
                Err(error) => return Err(error),
            }
        }
        last
    }

    async fn write_status<K: Resource>(&self, key: &ObjectKey, status: K::Status) -> Result<(), StoreError> {
        let Some(object) = self.get::<K>(key) else {
            return Err(StoreError::Gone { kind: K::KIND, key: key.clone() });
        };
        let api = self.api::<K>(&key.namespace);
        let about = |action| Call { action, object: format!("{} {key}", K::kind(&())), gone: Some((K::KIND, key)) };
        self.leads(about("write the status of"))?;
        let name = K::kind(&());
        let patch = image::whole_status(object.uid().as_deref(), &status).map_err(|error| StoreError::Refused {
            action: "write the status of",
            object: format!("{name} {key}"),
            message: error.to_string(),
        })?;
        let (manager, patch) = (manager(), Patch::<K>::Json(patch));
        match call(about("write the status of"), api.patch_status(&key.name, &manager, &patch)).await {
            Ok(object) => {
                self.write_overlay.put(object);
                Ok(())
            }
            // The test of the uid failed: the object was deleted and made again under the same name, which the watch
            // has already delivered. If the watch has not delivered it yet, the pass is retried.
            Err(StoreError::Refused { .. }) if self.get::<K>(key).is_none_or(|now| now.uid() != object.uid()) => {
                Err(StoreError::Gone { kind: K::KIND, key: key.clone() })
            }
            Err(error) => Err(error),
        }
    }

    async fn publish_event(&self, event: ObjectEvent) {
        let ObjectEvent { kind, key, warning, reason, message } = &event;
        if *warning {
            tracing::warn!(%kind, object = %key, reason, "{message}");
        } else {
            tracing::info!(%kind, object = %key, reason, "{message}");
        }
        let (key, warning) = (key.clone(), *warning);
        let event = event::event(event.clone(), self.reference(*kind, &key), &self.host, Timestamp::now());
        let told = match self.tell(&event, false).await {
            // A warning is reported at the namespace instead, if the permissions allow it, so that people who look for
            // leftovers find it.
            Err(ending @ StoreError::NamespaceEnds { .. }) if warning => {
                match self.tell(&event::of_namespace(event), false).await {
                    Err(StoreError::Denied { .. }) => Err(ending),
                    other => other,
                }
            }
            other => other,
        };
        match told {
            Ok(()) => {}
            Err(StoreError::NamespaceEnds { .. }) => {
                tracing::debug!(%kind, object = %key, "no Event: its namespace is being deleted");
            }
            Err(error) => tracing::warn!(%kind, object = %key, %error, "an event could not be published"),
        }
    }
}

impl Kubernetes {
    /// Creates an Event, or with `dry_run` only checks whether it would be accepted.
    async fn tell(&self, event: &Event, dry_run: bool) -> Result<(), StoreError> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let object = format!("{} {namespace}", event.involved_object.kind.as_deref().unwrap_or_default());
        let name = event.involved_object.name.as_deref().unwrap_or_default();
        let about = Call { action: "tell an event of", object: format!("{object}/{name}"), gone: None };
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PostParams { dry_run, ..PostParams::default() };
        call(about, events.create(&parameters, event)).await.map(drop)
    }
}

/// The name of this machine or pod.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Patch parameters with the field manager of this program.
fn manager() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
