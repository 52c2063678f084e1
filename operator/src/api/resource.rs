//! What all custom resources have.

use std::any::Any;
use std::fmt::Debug;

use kube::core::NamespaceResourceScope;
use kube::core::object::{HasSpec, HasStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription, Kind, transition};

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
        transition::subscription(old, new)
    }
}

impl Resource for CachedImage {
    const KIND: Kind = Kind::Image;

    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String> {
        transition::image(old, new)
    }
}

impl Resource for CloudTarget {
    const KIND: Kind = Kind::Target;

    fn transition(_old: &Self::Spec, _new: &Self::Spec) -> Result<(), String> {
        Ok(())
    }
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
