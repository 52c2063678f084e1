//! The store of the resources: the trait [`ResourceStore`], and its implementations over an API server and over a
//! folder of manifests.

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

/// An event of an object. It is published once, when it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The kind of the object.
    pub kind: Kind,
    /// The key of the object.
    pub key: ObjectKey,
    /// Whether a user should look at it.
    pub warning: bool,
    /// The reason: one word, such as `ListAccepted`.
    pub reason: String,
    /// The message, with the relevant figures.
    pub message: String,
}

/// The operations that a reconcile needs from the store of the resources.
///
/// Objects are read from the memory of the implementation; Secrets and ConfigMaps of an API server are requested from
/// the server. Writes go to the API server or the files at once.
pub trait ResourceStore: Send + Sync + 'static {
    /// Which watches have not delivered their first list yet, as a text for people; `None` once all have.
    fn awaits(&self) -> Option<String> {
        None
    }

    /// The manifests that are not valid, one sentence each. Empty for an API server, which refuses them itself.
    fn refused_manifests(&self) -> Vec<String> {
        Vec::new()
    }

    /// An object, if it exists.
    fn get<K: Resource>(&self, key: &ObjectKey) -> Option<Arc<K>>;

    /// All objects of a kind in a namespace, ordered by name.
    fn list<K: Resource>(&self, namespace: &str) -> Vec<Arc<K>>;

    /// All objects of a kind that are reconciled, in all namespaces. Empty before they were read.
    fn all<K: Resource>(&self) -> Vec<Arc<K>>;

    /// After a change of an object, for how long an earlier change of an object of another kind may still be unknown
    /// here.
    fn watch_lag(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// How long after an object was marked for deletion other objects may be marked that are deleted with it. The
    /// objects of a namespace, or all that a user deletes together, are marked one after another.
    fn cascade_grace(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// Whether a namespace is being deleted, even if none of its objects is marked for deletion yet.
    fn is_ending(&self, _namespace: &str) -> impl Future<Output = Result<bool, StoreError>> + Send {
        std::future::ready(Ok(false))
    }

    /// A Secret, if it exists.
    fn secret(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<SecretData>, StoreError>> + Send;

    /// The entries of a `ConfigMap`, if it exists.
    fn config_map(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<ConfigMapData>, StoreError>> + Send;

    /// Creates the image of a subscription with only the fields `subscriptionRef` and `identifier`; all other fields
    /// belong to users. An existing image stays as it is.
    fn apply_image(
        &self,
        owner: &ImageListSubscription,
        identifier: &ImageId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes an image that a subscription created.
    fn delete_image(&self, key: &ObjectKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds the finalizer to an object or removes it.
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

    /// Publishes an event.
    fn publish_event(&self, event: ObjectEvent) -> impl Future<Output = ()> + Send;
}
