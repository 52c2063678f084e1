//! Where the resources are: the trait [`ResourceStore`], and its implementations over an API server and over a folder of
//! manifests.

pub mod directory;
mod error;
pub mod kubernetes;
mod secret;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use jiff::SignedDuration;

pub use error::StoreError;
pub(crate) use secret::OPAQUE;
pub use secret::SecretData;

use crate::api::{ImageListSubscription, Kind, ObjectKey, Resource};
use crate::imagelist::ImageId;

/// The entries of a `ConfigMap`, text and binary.
pub type ConfigMapData = BTreeMap<String, Vec<u8>>;

/// Something that happened to an object, told once, when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// What it is about.
    pub kind: Kind,
    /// Which one.
    pub key: ObjectKey,
    /// Whether a person should look at it.
    pub warning: bool,
    /// One word, such as `ListAccepted`.
    pub reason: String,
    /// With the figures a person wants.
    pub message: String,
}

/// The small set of things that a reconcile needs from wherever the resources live.
///
/// Reads are answered from what the implementation holds in memory; writes go through to where the resources are kept.
pub trait ResourceStore: Send + Sync + 'static {
    /// What has to come from there before the work can begin, for people; `None` once it has.
    fn awaits(&self) -> Option<String> {
        None
    }

    /// An object, if it is there.
    fn get<K: Resource>(&self, key: &ObjectKey) -> Option<Arc<K>>;

    /// All objects of a kind in a namespace, by name.
    fn list<K: Resource>(&self, namespace: &str) -> Vec<Arc<K>>;

    /// All objects of a kind that are reconciled, of all namespaces. Empty before they were read.
    fn all<K: Resource>(&self) -> Vec<Arc<K>>;

    /// How long after a change another, made before it to an object of another kind, may still not be seen here.
    fn watch_lag(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// How long after an object was marked for deletion others may be that go with it: a namespace's objects, or all
    /// that a person named, are marked one after another.
    fn cascade_grace(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// Whether a namespace is being deleted, with everything in it, though nothing in it may say so yet.
    fn is_ending(&self, _namespace: &str) -> impl Future<Output = Result<bool, StoreError>> + Send {
        std::future::ready(Ok(false))
    }

    /// A Secret's entries, if it is there.
    fn secret(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<SecretData>, StoreError>> + Send;

    /// A `ConfigMap`'s entries, if it is there.
    fn config_map(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<ConfigMapData>, StoreError>> + Send;

    /// Makes the image of a subscription, or claims `subscriptionRef` and `identifier` of the one that is there.
    /// All its other fields are people's.
    fn apply_image(
        &self,
        owner: &ImageListSubscription,
        identifier: &ImageId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes an image that a subscription made.
    fn delete_image(&self, key: &ObjectKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts the finalizer on an object or takes it off.
    fn set_finalizer<K: Resource>(
        &self,
        key: &ObjectKey,
        held: bool,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the whole status of an object.
    fn write_status<K: Resource>(
        &self,
        key: &ObjectKey,
        status: K::Status,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Tells what happened.
    fn publish_event(&self, event: ObjectEvent) -> impl Future<Output = ()> + Send;
}
