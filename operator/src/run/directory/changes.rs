//! What depends on changes of objects.

use std::sync::Arc;

use crate::api::{
    CachedImage, CloudTarget, Endorser, ImageListSubscription, ImageListSubscriptionStatus, Kind, ObjectKey,
};
use crate::reconcile::Context;
use crate::run::dependents::{Change, Dependent, dependents};
use crate::store::directory::{Changed, Directory, Snapshot};

/// Whether nothing of a subscription has changed but the times of its fetches. Its own pass took them into account when
/// it set them, and endorsers do not read them. So a run with nothing to do verifies each list once.
fn only_fetched(before: &ImageListSubscription, after: &ImageListSubscription) -> bool {
    let timeless = |object: &ImageListSubscription| {
        let without_times = |status| ImageListSubscriptionStatus {
            last_fetch_time: None,
            last_successful_fetch_time: None,
            next_fetch_time: None,
            ..status
        };
        object.status.clone().map(without_times)
    };
    before.metadata == after.metadata && before.spec == after.spec && timeless(before) == timeless(after)
}

/// What depends on the changes of objects since a snapshot.
pub(super) fn changes(context: &Context<Directory>, snapshot: &Snapshot) -> Vec<Dependent> {
    let store = &*context.store;
    let wake = |change: Change<'_>| dependents(context, &change);
    let mut all = Vec::new();
    for Changed { before, after } in store.changed::<Endorser>(snapshot) {
        all.extend(after.or(before).iter().flat_map(|object| wake(Change::Endorser(object))));
    }
    for Changed { before, after } in store.changed::<ImageListSubscription>(snapshot) {
        let only_fetched = before.as_ref().zip(after.as_ref()).is_some_and(|(one, other)| only_fetched(one, other));
        let woken = after.or(before).into_iter().flat_map(|object| wake(Change::Subscription(&object)));
        // A target looks whether a fetch is overdue.
        all.extend(woken.filter(|dependent| !only_fetched || dependent.kind == Kind::Target));
    }
    for Changed { before, after } in store.changed::<CachedImage>(snapshot) {
        all.extend(after.iter().flat_map(|object| wake(Change::Image(object))));
        all.extend(before.filter(|_| after.is_none()).iter().flat_map(|object| wake(Change::ImageGone(object))));
    }
    for Changed { before, after } in store.changed::<CloudTarget>(snapshot) {
        let generation = |target: &Option<Arc<CloudTarget>>| target.as_ref().map(|target| target.metadata.generation);
        let is_spec = generation(&before) != generation(&after);
        let key = after.or(before).map(|target| ObjectKey::of(&*target));
        all.extend(
            key.iter().flat_map(|key| wake(if is_spec { Change::TargetSpec(key) } else { Change::Target(key) })),
        );
    }
    all
}
