//! Gauges of the current state. They are computed for each request and not stored, so objects that no longer exist are
//! not included.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::object::HasStatus;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::api::{CachedImage, CloudTarget, Endorser, HasConditions, ImageListSubscription, ObjectKey, Resource};
use crate::cache::{JobState, Usage, Volume};
use crate::reconcile::Context;
use crate::store::ResourceStore;

/// The usage of the volume is expensive to compute, so it is reused for this time.
const USAGE_FOR: Duration = Duration::from_mins(1);

/// One gauge for each set of labels.
type Gauges = Family<Vec<(&'static str, Cow<'static, str>)>, Gauge>;

/// The last known usage of the volume, and when it was computed.
#[derive(Debug, Default)]
pub(super) struct LastUsage(Mutex<Option<(Instant, Usage)>>);

/// Registers all gauges.
pub(super) fn register<S: ResourceStore>(
    context: &Context<S>,
    usage: &LastUsage,
    registry: &mut Registry,
    now: Timestamp,
) {
    let store = &*context.store;
    let endorsers = store.all::<Endorser>();
    let subscriptions = store.all::<ImageListSubscription>();
    let images = store.all::<CachedImage>();
    let targets = store.all::<CloudTarget>();
    let conditions = Gauges::default();
    stand(&conditions, &endorsers);
    stand(&conditions, &subscriptions);
    stand(&conditions, &images);
    stand(&conditions, &targets);
    registry.register(
        "resource_condition",
        "Always 1: the current status of each condition of each object",
        conditions,
    );
    lists(registry, &subscriptions, &images, now);
    certificates(registry, context, &endorsers, now);
    published(registry, &targets);
    volume(registry, &context.volume, usage);
    downloads(registry, context);
}

/// The labels of an object, followed by `more`.
fn labels(object: &ObjectKey, more: &[(&'static str, &str)]) -> Vec<(&'static str, Cow<'static, str>)> {
    let own = [("namespace", object.namespace.clone()), ("name", object.name.clone())];
    let more = more.iter().map(|(name, value)| (*name, Cow::Owned((*value).to_owned())));
    own.into_iter().map(|(name, value)| (name, Cow::Owned(value))).chain(more).collect()
}

fn set(gauges: &Gauges, object: &ObjectKey, more: &[(&'static str, &str)], value: i64) {
    gauges.get_or_create(&labels(object, more)).set(value);
}

fn seconds(time: &Time) -> i64 {
    time.0.as_second()
}

fn stand<K: Resource>(gauges: &Gauges, objects: &[Arc<K>])
where
    <K as HasStatus>::Status: HasConditions,
{
    let kind = K::kind(&());
    for object in objects {
        let key = ObjectKey::of(&**object);
        for condition in object.status().map(HasConditions::conditions).unwrap_or_default() {
            let (status, reason) = (condition.status.as_str(), condition.reason.as_str());
            let labels = [("kind", &*kind), ("type", &condition.type_), ("status", status), ("reason", reason)];
            set(gauges, &key, &labels, 1);
        }
    }
}

/// Dates and image counts of the lists in force, and how long images have been waiting.
fn lists(
    registry: &mut Registry,
    subscriptions: &[Arc<ImageListSubscription>],
    images: &[Arc<CachedImage>],
    now: Timestamp,
) {
    let [created, expires, fetched, failing, counts, lag] = std::array::from_fn(|_| Gauges::default());
    let behind = behind(images, now);
    for object in subscriptions {
        let key = ObjectKey::of(&**object);
        let Some(status) = &object.status else { continue };
        if let Some(list) = &status.list {
            set(&created, &key, &[], seconds(&list.created));
            set(&expires, &key, &[], seconds(&list.expires));
        }
        if let Some(time) = &status.last_successful_fetch_time {
            set(&fetched, &key, &[], seconds(time));
        }
        if let Some(failed) = status.condition("FetchFailed").filter(|failed| failed.status == "True") {
            set(&failing, &key, &[], seconds(&failed.last_transition_time));
        }
        if let Some(images) = &status.images {
            for (state, count) in images.by_state() {
                set(&counts, &key, &[("state", state)], i64::from(count));
            }
        }
        set(&lag, &key, &[], behind.get(&key).copied().unwrap_or_default());
    }
    let unit = || Unit::Seconds;
    registry.register_with_unit("list_created_timestamp", "When the list in force was made", unit(), created);
    registry.register_with_unit("list_expires_timestamp", "When the list in force expires", unit(), expires);
    let help = "When the list's server last answered with a list, or that it has not changed";
    registry.register_with_unit("list_last_fetch_timestamp", help, unit(), fetched);
    let help = "Since when the list cannot be fetched; absent where it can";
    registry.register_with_unit("list_fetch_failing_timestamp", help, unit(), failing);
    registry.register("list_images", "Images of the list in force, by their state", counts);
    let help = "For how long the image that waits longest was wanted and is not ready; 0 where none waits";
    registry.register_with_unit("sync_lag", help, unit(), lag);
}

/// For each subscription: for how long the longest waiting image has been wanted, in seconds.
fn behind(images: &[Arc<CachedImage>], now: Timestamp) -> BTreeMap<ObjectKey, i64> {
    let mut behind = BTreeMap::new();
    for object in images {
        let Some(status) = object.status.as_ref().filter(|status| !status.is_true("Ready")) else { continue };
        let Some(wanted) = &status.image else { continue };
        let waits = (now.as_second() - seconds(&wanted.wanted_since)).max(0);
        let longest = behind.entry(ObjectKey::of(&**object).sibling(&object.spec.subscription_ref.name)).or_insert(0);
        *longest = waits.max(*longest);
    }
    behind
}

/// Expiry of signer certificates and CRLs.
fn certificates<S: ResourceStore>(
    registry: &mut Registry,
    context: &Context<S>,
    endorsers: &[Arc<Endorser>],
    now: Timestamp,
) {
    let [signers, revocations] = std::array::from_fn(|_| Gauges::default());
    for object in endorsers {
        let key = ObjectKey::of(&**object);
        for credential in object.status.iter().flat_map(|status| &status.credentials) {
            if let Some(end) = &credential.not_after {
                set(&signers, &key, &[("credential", &credential.name)], seconds(end));
            }
        }
    }
    for (authority, end) in context.anchors.crl_ends(now) {
        let labels = vec![("authority", Cow::Owned(authority.to_string()))];
        revocations.get_or_create(&labels).set(end.as_second());
    }
    let help = "When the certificate that a credential last signed with ends";
    registry.register_with_unit("signer_expires_timestamp", help, Unit::Seconds, signers);
    let help = "When the next CRL of an authority of the trust directory is due";
    registry.register_with_unit("crl_next_update_timestamp", help, Unit::Seconds, revocations);
}

/// Images at the cloud targets.
fn published(registry: &mut Registry, targets: &[Arc<CloudTarget>]) {
    let [images, pending] = std::array::from_fn(|_| Gauges::default());
    for object in targets {
        let key = ObjectKey::of(&**object);
        let Some(status) = &object.status else { continue };
        set(&images, &key, &[], i64::from(status.images));
        set(&pending, &key, &[], i64::from(status.pending));
    }
    registry.register("target_images", "Images that are published at a target", images);
    registry.register("target_pending", "Images that a target does not have as they are wanted", pending);
}

/// Used and free space of the volume. A value that cannot be read is left out; `/readyz` reports the reason.
fn volume(registry: &mut Registry, volume: &Volume, usage: &LastUsage) {
    let used = Gauges::default();
    for part in usage.of(volume).iter().flat_map(|usage| &usage.parts) {
        used.get_or_create(&vec![("what", part.what.into())]).set(signed(part.bytes));
    }
    let free = Gauges::default();
    if let Ok(available) = volume.available() {
        free.get_or_create(&Vec::new()).set(signed(available));
    }
    let help = "Bytes on the volume, by what they are; looked at once a minute at most";
    registry.register_with_unit("volume_used", help, Unit::Bytes, used);
    registry.register_with_unit("volume_free", "Bytes that can still be written to the volume", Unit::Bytes, free);
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl LastUsage {
    /// The usage of the last minute, or else the current one.
    fn of(&self, volume: &Volume) -> Option<Usage> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(at, _)| at.elapsed() >= USAGE_FOR) {
            *last = volume.usage().ok().map(|usage| (Instant::now(), usage));
        }
        last.as_ref().map(|(_, usage)| usage.clone())
    }
}

/// Queued and running downloads.
fn downloads<S: ResourceStore>(registry: &mut Registry, context: &Context<S>) {
    let (mut queued, mut running) = (0, 0);
    for key in context.downloads.all() {
        match context.jobs.look(&key) {
            Some(JobState::Queued) => queued += 1,
            Some(JobState::Running { .. }) => running += 1,
            Some(JobState::Done(_) | JobState::Failed(_)) | None => {}
        }
    }
    let downloads = Gauges::default();
    for (state, count) in [("queued", queued), ("running", running)] {
        downloads.get_or_create(&vec![("state", state.into())]).set(count);
    }
    registry.register("downloads", "Downloads, by whether they wait or run", downloads);
}
