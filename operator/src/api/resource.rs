//! What all custom resources have.

use std::any::Any;
use std::fmt::Debug;

use kube::core::NamespaceResourceScope;
use kube::core::object::{HasSpec, HasStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription, Kind};

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
    fn transition(_old: &Self::Spec, _new: &Self::Spec) -> Result<(), String> {
        Ok(())
    }
}

impl Resource for Endorser {
    const KIND: Kind = Kind::Endorser;
}

impl Resource for ImageListSubscription {
    const KIND: Kind = Kind::Subscription;

    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String> {
        match &old.verify.identifier {
            Some(_) => unchanged("verify.identifier", &old.verify.identifier, &new.verify.identifier),
            None => Ok(()),
        }
    }
}

impl Resource for CachedImage {
    const KIND: Kind = Kind::Image;

    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String> {
        unchanged("subscriptionRef.name", &old.subscription_ref.name, &new.subscription_ref.name)?;
        unchanged("identifier", &old.identifier, &new.identifier)
    }
}

impl Resource for CloudTarget {
    const KIND: Kind = Kind::Target;

    fn transition(old: &Self::Spec, new: &Self::Spec) -> Result<(), String> {
        unchanged("type", &old.r#type, &new.r#type)
    }
}

/// Refuses a change of a field that identifies what the object is about.
fn unchanged<T: PartialEq + Debug>(field: &str, old: &T, new: &T) -> Result<(), String> {
    if old == new {
        return Ok(());
    }
    Err(format!("spec.{field} cannot change: expected {old:?}, found {new:?}; make another object instead"))
}

/// Runs the same code for each kind, whose type has the given name in it.
macro_rules! for_each_kind {
    ($kind:ident => $code:expr) => {
        for_each_kind!($kind = CloudTarget => $code);
        for_each_kind!($kind = Endorser => $code);
        for_each_kind!($kind = ImageListSubscription => $code);
        for_each_kind!($kind = CachedImage => $code);
    };
    ($kind:ident = $type:ident => $code:expr) => {{
        type $kind = $crate::api::$type;
        $code
    }};
}
pub(crate) use for_each_kind;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_in_manifests() {
        for_each_kind!(K => assert_eq!(K::KIND.to_string(), <K as kube::Resource>::kind(&())));
    }
}
