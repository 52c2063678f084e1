//! The reconciler of `CachedImage`: publishes the verified wanted version under its path, and archives other versions.

mod announce;
mod apply;
mod check;
mod events;
mod gone;
mod inputs;
mod observe;
mod observed;
mod plan;
mod policy;
mod report;
mod settled;
mod target_status;
mod targets;
#[cfg(test)]
mod tests;
mod version_status;
mod want;

use std::fs::File;
use std::sync::Arc;

use jiff::Timestamp;

pub(super) use self::check::can_work;
use self::check::{Checked, check};
pub use self::gone::gone_while_held;
use super::context::Context;
use super::exchange::Desired;
use super::finish::{finish, stalled};
use super::learned::with_learned;
use crate::api::{CachedImage, Kind, ObjectKey};
use crate::cache::ImageStamps;
use crate::digest::Sha256Digest;
use crate::store::{ResourceStore, StoreError};

/// An image that was settled, with the attributes of its files at some moment.
pub struct Seen {
    object: Arc<CachedImage>,
    checked: Checked,
    stamps: ImageStamps,
}

/// Looks at the files of an image, with the open directory of the volume. `None` if it needs a pass in any case. Nothing of
/// its list is needed for this.
pub fn see<S: ResourceStore>(context: &Context<S>, root: &File, key: &ObjectKey) -> Option<Box<Seen>> {
    let object = context.store.get::<CachedImage>(key).filter(|object| context.settled.knows(key, object))?;
    let checked = check(&object).ok()?;
    let stamps = inputs::look(context, root, &object, &checked)?;
    Some(Box::new(Seen { object, checked, stamps }))
}

impl Seen {
    /// The key of the image.
    pub const fn key(&self) -> &ObjectKey {
        &self.checked.key
    }

    /// The time of the next pass, if a pass at the moment at which the image was seen would have changed nothing: its object
    /// is the one that the last pass left, and all that it reads besides is as it was. Then the pass need not be made.
    pub fn settled_until<S: ResourceStore>(&self, context: &Context<S>, now: Timestamp) -> Option<Timestamp> {
        let Self { object, checked, stamps } = self;
        context.store.get::<CachedImage>(&checked.key).filter(|current| Arc::ptr_eq(current, object))?;
        let list = context.lists.get(&checked.subscription);
        let inputs = inputs::inputs(context, object, checked, list.as_deref(), Some(stamps))?;
        take_as_settled(context, object, checked, &inputs, now)
    }
}

fn take_as_settled<S: ResourceStore>(
    context: &Context<S>,
    object: &Arc<CachedImage>,
    checked: &Checked,
    inputs: &Sha256Digest,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = context.settled.until(&checked.key, object, inputs, now)?;
    context.publications.want(&checked.key, Some(Desired::nowhere(checked.image.identifier.clone())));
    Some(until)
}

/// One pass over an image. Returns the time of the next pass if nothing changes.
pub async fn reconcile<S: ResourceStore>(
    context: &Context<S>,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let _timed = context.metrics.pass("CachedImage");
    let Some(object) = context.store.get::<CachedImage>(key) else {
        context.publications.want(key, None);
        context.settled.forget(key);
        return Ok(None);
    };
    let checked = match check(&object) {
        Ok(checked) => checked,
        Err(error) => return stalled(context, &*object, &error, now).await,
    };
    let list = context.lists.get(&checked.subscription);
    // Before anything is observed: what changes later makes another digest.
    let inputs = inputs::inputs(context, &object, &checked, list.as_deref(), None);
    if let Some(inputs) = &inputs
        && let Some(until) = take_as_settled(context, &object, &checked, inputs, now)
    {
        return Ok(Some(until));
    }
    let list = list.map(|list| with_learned(&context.volume, list, &checked.image.identifier));
    let want = want::want(&checked, list.as_deref(), now);
    let mut observed = observe::observe(context, &object, &checked, (list, want), now);
    if let Some(out) = policy::gone_with_its_signer(&checked, &observed) {
        observed.want = out;
    }
    if policy::would_be_made_again(&checked, &observed) {
        observed.namespace_ends = context.store.is_ending(&key.namespace).await?;
    }
    let plan = plan::plan(&checked, &observed, now);
    let (desired, lets_go) = (target_status::desired(&checked, &observed, &plan), plan.lets_go());
    if context.only_plans(Kind::Image, key, &plan) {
        context.publications.want(key, Some(desired));
        return Ok(None);
    }
    if lets_go {
        // Set before the finalizer is removed: whoever sees that the object is gone also sees that it was no longer
        // held.
        context.publications.want(key, Some(desired.clone()));
    }
    let outcomes = apply::apply(context, &checked, &observed, &plan, now).await;
    let desired = if outcomes.veto().is_some() { desired.without_new_versions() } else { desired };
    if !lets_go {
        context.publications.want(key, Some(desired.clone()));
    }
    let report = report::report(&checked, &observed, &plan, &outcomes, &desired, now);
    let until = settled::until(&checked, &observed, &plan, &outcomes, report.requeue_at, now);
    let ended = finish(context, &*object, report).await;
    let is_same = || context.store.get::<CachedImage>(key).is_some_and(|now| Arc::ptr_eq(&now, &object));
    let nothing_changed = ended.is_ok() && !context.pending_events.waits(Kind::Image, key) && is_same();
    match inputs.zip(until).filter(|_| nothing_changed) {
        Some((inputs, until)) => context.settled.set(key.clone(), &object, inputs, until),
        None => context.settled.forget(key),
    }
    ended
}
