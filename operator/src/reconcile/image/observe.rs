//! Observes the versions on the volume, the download, the subscription and the targets. Decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::observed::{Observed, Subscription};
use super::targets::{Targets, at};
use super::want::Want;
use crate::api::{
    CachedImage, CachedImageStatus, CloudTarget, Endorser, HasConditions, ImageListSubscription, ObjectKey, Resource,
};
use crate::cache::{CacheError, Entries};
use crate::cloud::{CloudImageId, StoredRecord};
use crate::reconcile::check::{retire, targets as target_names};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::{ListInForce, state_path};
use crate::store::ResourceStore;

/// The shortest time between two tries of an image that did not fit. The free space that a file system reports may be
/// wrong.
const ROOM_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// Observes everything that a plan is made from, for the list in force and what is wanted according to it.
pub(super) fn observe<S: ResourceStore>(
    context: &Context<S>,
    object: &CachedImage,
    checked: &Checked,
    (list, want): (Option<Arc<ListInForce>>, Want),
    now: Timestamp,
) -> Observed {
    let mut observed = Observed {
        subscription: subscription(context, checked),
        status: object.status.clone().unwrap_or_default(),
        root: context.volume.root().to_owned(),
        want,
        list,
        entries: Entries::default(),
        blob: None,
        published: None,
        job: None,
        space_again: false,
        running: context.downloads.get(&checked.key),
        targets: Targets::default(),
        desired: context.publications.desired(&checked.key),
        abandoned: false,
        abandoned_from: None,
        namespace_ends: false,
        alone_from: alone_from(context, checked, now),
        trouble: None,
    };
    observed.targets = targets(context, checked, &observed);
    if let Err(error) = look(context, checked, &mut observed, now) {
        observed.trouble = Some(error);
    }
    let abandoned_from = abandoned_from(context, checked, &observed);
    observed.abandoned = abandoned_from.is_some_and(|from| from <= now);
    observed.abandoned_from = abandoned_from.filter(|from| *from > now);
    observed
}

fn subscription<S: ResourceStore>(context: &Context<S>, checked: &Checked) -> Subscription {
    match context.store.get::<ImageListSubscription>(&checked.subscription) {
        Some(object) => Subscription {
            deleting: object.metadata.deletion_timestamp.is_some(),
            retire: retire("deletionPolicy", object.spec.deletion_policy).ok(),
            targets: target_names(&object.spec.target_refs).ok(),
        },
        None => Subscription::default(),
    }
}

/// A deletion time in the future comes from another clock. It is ignored.
fn alone_from<S: ResourceStore>(context: &Context<S>, checked: &Checked, now: Timestamp) -> Option<Timestamp> {
    let since = checked.deleting_since.filter(|since| *since <= now)?;
    since.checked_add(context.store.cascade_grace()).ok().filter(|end| *end > now)
}

fn abandoned_from<S: ResourceStore>(context: &Context<S>, checked: &Checked, observed: &Observed) -> Option<Timestamp> {
    let lost = checked.finalizer && observed.targets.are_lost(&observed.status.targets);
    let since = checked.deleting_since.filter(|_| lost && is_ending(&*context.store, &checked.key.namespace))?;
    Some(since.checked_add(context.abandon_after).unwrap_or(Timestamp::MAX))
}

/// Whether all objects of the namespace are being deleted, most likely with the namespace itself.
fn is_ending<S: ResourceStore>(store: &S, namespace: &str) -> bool {
    fn go<S: ResourceStore, K: Resource>(store: &S, namespace: &str) -> bool {
        store.list::<K>(namespace).iter().all(|object| object.meta().deletion_timestamp.is_some())
    }
    go::<S, CachedImage>(store, namespace)
        && go::<S, ImageListSubscription>(store, namespace)
        && go::<S, Endorser>(store, namespace)
        && go::<S, CloudTarget>(store, namespace)
}

/// The targets that are named, and those where the image was published.
fn targets<S: ResourceStore>(context: &Context<S>, checked: &Checked, observed: &Observed) -> Targets {
    // The subscription's object is preferred to its list, because its pass may still wait for a server.
    let of_list = || observed.list.as_deref().map(|list| list.targets.clone());
    let subscription = observed.subscription.targets.clone().or_else(of_list);
    let before: Vec<String> = observed.status.targets.iter().map(|target| target.name.clone()).collect();
    // If the image names no targets and its subscription is not known, the previous ones stay.
    let named = checked.targets.clone().or(subscription).unwrap_or_else(|| before.clone());
    let mut targets = Targets { named: named.clone(), ..Targets::default() };
    let all: BTreeSet<String> = named.into_iter().chain(before).collect();
    for name in all {
        let target = checked.key.sibling(&name);
        if let Some(ids) = recorded(context, checked, observed, &target) {
            targets.recorded.insert(name.clone(), ids);
        }
        let Some(object) = context.store.get::<CloudTarget>(&target) else {
            targets.missing.push(name);
            continue;
        };
        if object.metadata.deletion_timestamp.is_some() {
            targets.leaving.push(name.clone());
        }
        if let Some(publication) = context.publications.status(&target, &checked.key) {
            targets.statuses.insert(name, publication);
        }
    }
    targets
}

/// The ids of images that may exist at a target although the status does not have them; `None` if there are none. A
/// record that cannot be read counts as one that may have images.
fn recorded<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    target: &ObjectKey,
) -> Option<Vec<CloudImageId>> {
    let path = state_path(target, &checked.image.identifier).ok()?;
    let record = match context.volume.read_state::<StoredRecord>(&path) {
        Ok(record) => record?,
        Err(_) => return Some(Vec::new()),
    };
    let told = at(&observed.status.targets, &target.name);
    let is_told = told.is_some_and(|told| {
        let is_retired = told.condition("Published").is_some_and(|condition| condition.reason == "Retired");
        told.id.is_some() || is_retired
    });
    let may_be_there = record.registration.is_some() || !is_told && record.may_be_there();
    may_be_there.then(|| record.images.iter().map(|image| image.id).collect())
}

fn failed_for_space(status: &CachedImageStatus) -> bool {
    status.next_retry_time.is_some() && status.condition("Cached").is_some_and(|cached| cached.reason == "NoSpace")
}

/// Whether an image that did not fit would fit now, because the volume has grown or something was removed.
fn has_come_to_room<S: ResourceStore>(
    context: &Context<S>,
    status: &CachedImageStatus,
    size: u64,
    now: Timestamp,
) -> bool {
    let last = status.last_failure_time.as_ref().map(|time| time.0);
    last.is_none_or(|last| now.duration_since(last) >= ROOM_AFTER) && context.jobs.has_room(size)
}

fn look<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &mut Observed,
    now: Timestamp,
) -> Result<(), CacheError> {
    observed.entries = context.volume.entries(&checked.image)?;
    if let Want::Image(wanted) = &observed.want {
        if let Some(sha512) = wanted.image.sha512() {
            observed.blob = context.volume.blob_for(&checked.image.namespace, &sha512)?;
        }
        let failures = observed.status.failures.unwrap_or_default();
        observed.job = context.jobs.told(&wanted.job(checked, observed.running.as_ref(), failures));
        let size = wanted.image.size().unwrap_or_default();
        observed.space_again = observed.job.is_none()
            && failed_for_space(&observed.status)
            && (context.tried_anew.take(&checked.key) || has_come_to_room(context, &observed.status, size, now));
    }
    if let Some(entry) = observed.entries.endorsed.last() {
        let wanted = observed.blob.as_ref().filter(|blob| *blob.digest() == entry.digest);
        observed.published = match wanted {
            Some(blob) => Some(blob.clone()),
            None => context.volume.blob(&entry.digest)?,
        };
    }
    Ok(())
}
