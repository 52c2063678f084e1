//! One pass over an object, and which objects are reconciled after it because of what it left in memory. Changes of
//! objects are seen by the store.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::dependents::{Change, Dependent, dependents};
use crate::api::{CachedImage, ImageListSubscription, Kind, ObjectKey};
use crate::metrics::failed;
use crate::reconcile::subscription::FetchTrigger;
use crate::reconcile::{Context, Force, ListInForce, cloud_target, endorser, image, subscription};
use crate::store::{ResourceStore, StoreError};
use crate::trust::LastAccepted;

/// The state of each subscription after its last pass.
#[derive(Debug, Default)]
pub(super) struct Passes(Mutex<HashMap<ObjectKey, Notified>>);

/// The end of a pass.
#[derive(Debug)]
pub(super) struct Ended {
    /// When the object is reconciled again if nothing changes.
    pub result: Result<Option<Timestamp>, StoreError>,
    /// The objects that are reconciled after it.
    pub dependents: Vec<Dependent>,
}

/// The state of a subscription after its last pass. Its images are reconciled when it changes.
#[derive(Debug, PartialEq)]
struct Notified {
    generation: Option<i64>,
    list: Option<NotifiedList>,
}

#[derive(Debug, PartialEq)]
struct NotifiedList {
    last: LastAccepted,
    older: Vec<LastAccepted>,
    /// Existing images that are not selected. Their list entries are only kept while they exist.
    unselected: BTreeSet<String>,
    expires: Timestamp,
    force: Force,
    last_fetch: Option<Timestamp>,
    requested_at: Option<String>,
    targets: Vec<String>,
}

impl Passes {
    /// One pass over an object.
    pub(super) async fn pass<S: ResourceStore>(
        &self,
        context: &Context<S>,
        (kind, key): (Kind, &ObjectKey),
        ask: FetchTrigger,
        now: Timestamp,
    ) -> Ended {
        let span = tracing::info_span!("pass", %kind, object = %key, otel.status_description = Empty);
        let pass = Box::pin(self.pass_over(context, (kind, key), ask, now));
        let ended = pass.instrument(span.clone()).await;
        if let Err(error) = &ended.result {
            failed(&span, error);
        }
        ended
    }

    async fn pass_over<S: ResourceStore>(
        &self,
        context: &Context<S>,
        (kind, key): (Kind, &ObjectKey),
        ask: FetchTrigger,
        now: Timestamp,
    ) -> Ended {
        match kind {
            Kind::Endorser => Ended { result: endorser::reconcile(context, key, now).await, dependents: Vec::new() },
            Kind::Subscription => {
                let result = subscription::reconcile(context, key, ask, now).await;
                let changed = self.list_changed(context, key);
                let dependents = if changed { dependents(context, &Change::List(key)) } else { Vec::new() };
                Ended { result, dependents }
            }
            Kind::Image => {
                let before = context.publications.desired(key);
                let result = image::reconcile(context, key, now).await;
                let after = context.publications.desired(key);
                let names = before.iter().chain(&after).flat_map(|desired| desired.at.keys().cloned());
                let names = if before == after { BTreeSet::new() } else { names.collect() };
                Ended { result, dependents: dependents(context, &Change::Desired(key, names)) }
            }
            Kind::Target => {
                let before = context.publications.statuses(key);
                let result = cloud_target::reconcile(context, key, now).await;
                let after = context.publications.statuses(key);
                let known: BTreeSet<&ObjectKey> = before.keys().chain(after.keys()).collect();
                let changed = known.into_iter().filter(|image| before.get(image) != after.get(image)).cloned();
                Ended { result, dependents: dependents(context, &Change::Published(changed.collect())) }
            }
        }
    }

    /// Whether the subscription of an image exists and has had no pass yet.
    pub(super) fn is_subscription_silent<S: ResourceStore>(&self, store: &S, image: &ObjectKey) -> bool {
        let Some(object) = store.get::<CachedImage>(image) else { return false };
        let subscription = image.sibling(&object.spec.subscription_ref.name);
        let is_there = store.get::<ImageListSubscription>(&subscription).is_some();
        is_there && !self.held().contains_key(&subscription)
    }

    /// Forgets the subscriptions that do not exist, and returns them.
    pub(super) fn forget_gone<S: ResourceStore>(&self, store: &S) -> Vec<ObjectKey> {
        let gone = |key: &ObjectKey| store.get::<ImageListSubscription>(key).is_none();
        self.held().extract_if(|key, _| gone(key)).map(|(key, _)| key).collect()
    }

    /// Forgets a subscription.
    pub(super) fn forget(&self, subscription: &ObjectKey) {
        self.held().remove(subscription);
    }

    fn list_changed<S: ResourceStore>(&self, context: &Context<S>, key: &ObjectKey) -> bool {
        let Some(object) = context.store.get::<ImageListSubscription>(key) else { return false };
        let list = context.lists.get(key).map(|list| NotifiedList::of(&list));
        let now = Notified { generation: object.metadata.generation, list };
        let mut held = self.held();
        let changed = held.get(key) != Some(&now);
        held.insert(key.clone(), now);
        changed
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ObjectKey, Notified>> {
        // Entries are replaced as a whole, so a panic in another thread cannot leave them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NotifiedList {
    fn of(list: &ListInForce) -> Self {
        Self {
            last: list.accepted.last_accepted(),
            older: list.older.iter().map(|list| list.last_accepted()).collect(),
            unselected: list.unselected().into_iter().map(str::to_owned).collect(),
            expires: list.expires,
            force: list.force.clone(),
            last_fetch: list.last_fetch,
            requested_at: list.requested_at.clone(),
            targets: list.targets.clone(),
        }
    }
}
