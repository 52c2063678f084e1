//! Which changes of a spec are refused: fields that identify what an object is about cannot change. Pure.

use super::{CachedImageSpec, ImageListSubscriptionSpec};

/// What cannot change of an `ImageListSubscription`.
pub(super) fn subscription(old: &ImageListSubscriptionSpec, new: &ImageListSubscriptionSpec) -> Result<(), String> {
    match &old.verify.identifier {
        Some(_) => unchanged("verify.identifier", &old.verify.identifier, &new.verify.identifier),
        None => Ok(()),
    }
}

/// What cannot change of a `CachedImage`.
pub(super) fn image(old: &CachedImageSpec, new: &CachedImageSpec) -> Result<(), String> {
    unchanged("subscriptionRef.name", &old.subscription_ref.name, &new.subscription_ref.name)?;
    unchanged("identifier", &old.identifier, &new.identifier)
}

/// Refuses a change of a field that identifies what the object is about.
fn unchanged<T: PartialEq + std::fmt::Debug>(field: &str, old: &T, new: &T) -> Result<(), String> {
    if old == new {
        return Ok(());
    }
    Err(format!("spec.{field} cannot change: expected {old:?}, found {new:?}; make another object instead"))
}
