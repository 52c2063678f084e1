//! What a reconcile needs from wherever the resources live.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::future::Future;
use std::sync::Arc;

use jiff::SignedDuration;
use kube::core::NamespaceResourceScope;
use kube::core::object::{HasSpec, HasStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::secret::SecretData;
use crate::api::{CachedImage, Class, CloudTarget, Endorser, HasConditions, ImageListSubscription};
use crate::cache::CacheError;
use crate::imagelist::ImageId;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object of that namespace and name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object at hand.
    pub fn of(object: &impl kube::Resource) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }

    /// The key of an object that this one's namespace holds too.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self::new(self.namespace.clone(), name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kinds that are reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`Endorser`].
    Endorser,
    /// [`ImageListSubscription`].
    Subscription,
    /// [`CachedImage`].
    Image,
    /// [`CloudTarget`].
    Target,
}

/// As in manifests and in `kubectl`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Endorser => "Endorser",
            Self::Subscription => "ImageListSubscription",
            Self::Image => "CachedImage",
            Self::Target => "CloudTarget",
        })
    }
}

/// A custom resource of ours, with a spec and a status.
pub trait Resource:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasSpec<Spec: PartialEq>
    + HasStatus<Status: HasConditions + Clone + PartialEq + Serialize + Send + Sync>
    + Any
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
{
    /// Which kind it is.
    const KIND: Kind;

    /// Whether a spec may become another: fields that identify what an object is about cannot change.
    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String>;
}

impl Resource for Endorser {
    const KIND: Kind = Kind::Endorser;

    fn transition(_old: &Self::Spec, _new: &Self::Spec) -> Result<(), String> {
        Ok(())
    }
}

impl Resource for ImageListSubscription {
    const KIND: Kind = Kind::Subscription;

    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String> {
        super::subscription::transition(old, new)
    }
}

impl Resource for CachedImage {
    const KIND: Kind = Kind::Image;

    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String> {
        super::image::transition(old, new)
    }
}

impl Resource for CloudTarget {
    const KIND: Kind = Kind::Target;

    fn transition(_old: &Self::Spec, _new: &Self::Spec) -> Result<(), String> {
        Ok(())
    }
}

/// The entries of a `ConfigMap`, text and binary.
pub type ConfigMapData = BTreeMap<String, Vec<u8>>;

/// Something that happened to an object, told once, when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
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

/// What went wrong between a reconcile and the place where its resources live.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The object is gone.
    #[error("expected {kind} {key}, found that it is gone")]
    Gone {
        /// The kind.
        kind: Kind,
        /// Which one.
        key: ObjectKey,
    },
    /// The resources could not be kept on the volume.
    #[error("cannot keep {kind} {key}")]
    Keep {
        /// The kind.
        kind: Kind,
        /// Which one.
        key: ObjectKey,
        /// Why.
        source: CacheError,
    },
    /// An object could not be written as YAML.
    #[error("cannot write {key} as YAML")]
    Encode {
        /// Which one.
        key: ObjectKey,
        /// Why.
        source: serde_yaml::Error,
    },
    /// The API server does not allow it to this program.
    #[error("cannot {action} {object}: expected that this operator's account may, found: {message}")]
    Denied {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On what, such as `Secret default/token`.
        object: String,
        /// The server's words.
        message: String,
    },
    /// Another write came before this one.
    #[error("cannot {action} {object}, for it was changed meanwhile: {message}")]
    Conflict {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// The server's words.
        message: String,
    },
    /// The API server does not take what this program sends.
    #[error("cannot {action} {object}, for it was refused: {message}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// The server's words.
        message: String,
    },
    /// The namespace is being deleted, and takes nothing new.
    #[error("cannot {action} {object}, for its namespace is being deleted")]
    NamespaceEnds {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
    },
    /// The API server cannot be reached, or is too busy.
    #[error("cannot {action} {object}: {message}")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// Why not.
        message: String,
    },
}

impl ClusterError {
    /// The condition reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "Gone",
            Self::Keep { source, .. } => source.reason(),
            Self::Encode { .. } => "InternalError",
            Self::Denied { .. } => "NotAuthorized",
            Self::Conflict { .. } => "Conflict",
            Self::Refused { .. } => "Refused",
            Self::NamespaceEnds { .. } => "NamespaceEnds",
            Self::Unavailable { .. } => "ClusterUnavailable",
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Gone { .. } | Self::Denied { .. } | Self::NamespaceEnds { .. } => Class::Waiting,
            Self::Keep { .. } | Self::Conflict { .. } | Self::Unavailable { .. } => Class::Transient,
            Self::Encode { .. } | Self::Refused { .. } => Class::Internal,
        }
    }
}

/// The small set of things that a reconcile needs from wherever the resources live.
///
/// Reads are answered from what the implementation holds in memory; writes go through to where the resources are kept.
pub trait Cluster: Send + Sync + 'static {
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
    fn lag(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// How long after an object was marked for deletion others may be that go with it: a namespace's objects, or all
    /// that a person named, are marked one after another.
    fn goes_together(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// Whether a namespace is being deleted, with everything in it, though nothing in it may say so yet.
    fn is_ending(&self, _namespace: &str) -> impl Future<Output = Result<bool, ClusterError>> + Send {
        std::future::ready(Ok(false))
    }

    /// A Secret's entries, if it is there.
    fn secret(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<SecretData>, ClusterError>> + Send;

    /// A `ConfigMap`'s entries, if it is there.
    fn config_map(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<ConfigMapData>, ClusterError>> + Send;

    /// Makes the image of a subscription, or claims `subscriptionRef` and `identifier` of the one that is there.
    /// All its other fields are people's.
    fn apply_image(
        &self,
        owner: &ImageListSubscription,
        identifier: &ImageId,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Deletes an image that a subscription made.
    fn delete_image(&self, key: &ObjectKey) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Puts the finalizer on an object or takes it off.
    fn finalize<K: Resource>(
        &self,
        key: &ObjectKey,
        held: bool,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Writes the whole status of an object.
    fn write_status<K: Resource>(
        &self,
        key: &ObjectKey,
        status: K::Status,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Tells what happened.
    fn record(&self, happening: Happening) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_named_as_in_manifests<K: Resource>() {
        assert_eq!(K::KIND.to_string(), K::kind(&()));
    }

    #[test]
    fn kinds_are_named_as_in_manifests() {
        is_named_as_in_manifests::<Endorser>();
        is_named_as_in_manifests::<ImageListSubscription>();
        is_named_as_in_manifests::<CachedImage>();
        is_named_as_in_manifests::<CloudTarget>();
    }
}
