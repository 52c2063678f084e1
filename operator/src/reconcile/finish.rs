//! The end of a pass: writes its report once, and only if something changed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::core::object::HasStatus;
use serde::Serialize;
use uuid::Uuid;

use super::announced::object;
use super::check::SpecError;
use super::conditions::{Finding, merge};
use super::context::Context;
use super::report::Report;
use super::transition::transition;
use crate::api::{
    CachedImageStatus, Class, CloudTargetStatus, EndorserStatus, HasConditions, ImageListSubscriptionStatus, Kind,
    MANIFEST, ObjectKey, Resource,
};
use crate::events::{Event, EventType, Phase};
use crate::store::{ObjectEvent, ResourceStore, StoreError};
use crate::text::printable;

/// A status that can be set to stalled.
pub trait Stallable: HasConditions + Clone + Default {
    /// Sets the generation and the conditions of a stalled object; everything else stays.
    fn stall(&mut self, generation: Option<i64>, conditions: Vec<Condition>);
}

macro_rules! stallable {
    ($($status:ty),*) => {$(
        impl Stallable for $status {
            fn stall(&mut self, generation: Option<i64>, conditions: Vec<Condition>) {
                self.observed_generation = generation;
                self.conditions = conditions;
            }
        }
    )*};
}
stallable!(CachedImageStatus, CloudTargetStatus, EndorserStatus, ImageListSubscriptionStatus);

/// Writes the status of a report if it changed, and publishes the events. Each event is published once, after the
/// status was written or after an error that is not transient. After a transient error the events are kept for the next
/// pass.
pub(super) async fn finish<S: ResourceStore, K: Resource>(
    context: &Context<S>,
    object: &K,
    report: Report<<K as HasStatus>::Status>,
) -> Result<Option<Timestamp>, StoreError> {
    context.reported_problems.forget(K::KIND, &ObjectKey::of(object));
    write(context, object, report).await
}

async fn write<S: ResourceStore, K: Resource>(
    context: &Context<S>,
    object: &K,
    report: Report<<K as HasStatus>::Status>,
) -> Result<Option<Timestamp>, StoreError> {
    let key = ObjectKey::of(object);
    if context.dry_run.is_some() {
        return Ok(report.requeue_at);
    }
    let mut events = report.events;
    events.extend(transition(object, &report.status));
    let mut happened = context.pending_events.take(K::KIND, &key, events);
    // Before the status says it: a pass that is cut off in between finds the same events again.
    for waiting in happened.iter_mut().filter(|waiting| !waiting.spooled) {
        match context.events.append(for_sinks(&waiting.event, object.status()), Timestamp::now()) {
            Ok(()) => waiting.spooled = true,
            Err(error) => tracing::warn!(kind = %K::KIND, object = %key, %error, "an event waits for the next pass"),
        }
    }
    let written = if object.status() == Some(&report.status) {
        Ok(report.requeue_at)
    } else {
        match context.store.write_status::<K>(&key, report.status).await {
            // The object was deleted during the pass, perhaps by the pass itself.
            Err(StoreError::Gone { .. }) => Ok(None),
            other => other.map(|()| report.requeue_at),
        }
    };
    let passes = written.as_ref().is_err_and(|error| error.class() == Class::Transient);
    for waiting in happened.iter_mut().filter(|waiting| !waiting.published && !passes) {
        let message = printable(&waiting.event.message).into_owned();
        context.store.publish_event(ObjectEvent { message, ..waiting.event.clone() }).await;
        waiting.published = true;
    }
    if written.is_ok() {
        happened.retain(|waiting| !waiting.spooled);
    }
    context.pending_events.keep(K::KIND, &key, happened);
    written
}

/// The event for the sinks; none if it is one that they get in another way, or do not get. A pass that is cut off before
/// it writes the status finds the event again, with the same identity: the status `before` the pass is part of it.
fn for_sinks(event: &ObjectEvent, before: Option<&impl Serialize>) -> Vec<Event> {
    let kind = match (event.kind, event.reason.as_str()) {
        (Kind::Subscription, "ListRefused") => EventType::ListRefused,
        (Kind::Subscription, "RemovalBlocked") => EventType::RemovalBlocked,
        _ => return Vec::new(),
    };
    let object = object(event.kind, &event.key);
    let before = before.and_then(|status| serde_json::to_string(status).ok()).unwrap_or_default();
    let name = format!("{} {object} {} {before}", event.kind, event.reason);
    vec![Event {
        object: Some(object),
        reason: Some(event.reason.clone()),
        message: Some(event.message.clone()),
        ..Event::new(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()), kind, Phase::After)
    }]
}

/// Reports that a spec is invalid. The rest of the status stays.
pub(super) async fn stalled<S: ResourceStore, K: Resource>(
    context: &Context<S>,
    object: &K,
    error: &SpecError,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError>
where
    <K as HasStatus>::Status: Stallable,
{
    let mut status = object.status().cloned().unwrap_or_default();
    let generation = object.meta().generation;
    let findings = vec![
        Finding::fails("Ready", error.reason(), error.to_string()),
        Finding::holds("Stalled", error.reason(), error.to_string()),
    ];
    let kept = status.conditions().iter().filter(|old| !["Ready", "Stalled", "Reconciling"].contains(&&*old.type_));
    let mut conditions: Vec<_> = kept.cloned().collect();
    conditions.extend(merge(status.conditions(), findings, generation, now));
    status.stall(generation, conditions);
    let key = ObjectKey::of(object);
    if context.reported_problems.is_new(K::KIND, &key, &error.to_string()) {
        let path = object.annotations().get(MANIFEST).map(tracing::field::display);
        tracing::warn!(path, kind = %K::KIND, object = %key, %error, "the spec cannot work");
    }
    context.only_plans(K::KIND, &key, &format_args!("nothing to do: {error}"));
    write(context, object, Report { status, events: Vec::new(), requeue_at: None }).await
}
