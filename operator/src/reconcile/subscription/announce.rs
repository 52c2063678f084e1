//! The event of an image that a list names for the first time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::check::Checked;
use super::observe::Observed;
use super::plan::Plan;
use crate::api::Kind;
use crate::cache::{NameError, StatePath};
use crate::events::{Event, EventType, Phase};
use crate::reconcile::announced::{object, of_list_entry};
use crate::reconcile::context::Context;
use crate::reconcile::step::StepProblem;
use crate::store::ResourceStore;

/// The images that were announced. Its file is `state/announced-lists/<namespace>/<name>.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    /// The digest of the last list whose images were announced.
    list: String,
    /// The identifiers that any accepted list named.
    identifiers: BTreeSet<String>,
}

/// Announces the images of the list in force that no earlier list named. After the first sink is configured, images
/// that exist already are not new.
pub(super) fn announce<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), StepProblem> {
    let Some(in_force) = plan.list.as_ref().filter(|_| context.events.are_wanted()) else { return Ok(()) };
    let (list, digest) = (in_force.accepted.list(), in_force.accepted.last_accepted().payload.to_string());
    let path = path(checked)?;
    let before = context.volume.read_state::<Named>(&path)?;
    if before.as_ref().is_some_and(|named| named.list == digest) {
        return Ok(());
    }
    // Before the first sink was configured nothing was announced: the images that exist are not new.
    let known = || Named { identifiers: in_force.known.clone(), ..Named::default() };
    let mut named = before.unwrap_or_else(|| if observed.status.list.is_some() { known() } else { Named::default() });
    let new = list.images.iter().filter(|image| !named.identifiers.contains(image.identifier.as_str()));
    let of = object(Kind::Subscription, &checked.key);
    let events = new.map(|image| Event {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{} {of} {}", of.kind, image.identifier).as_bytes()),
        session: context.events.session(),
        time: now,
        event: EventType::SubscriptionImageNew,
        phase: Phase::After,
        object: Some(of.clone()),
        target: None,
        image: Some(Box::new(of_list_entry(image, &list.identifier, list.vo.as_deref()))),
        reason: None,
        message: None,
        progress: None,
    });
    let events: Vec<Event> = events.collect();
    context.events.append(&events)?;
    named.identifiers.extend(list.images.iter().map(|image| image.identifier.to_string()));
    named.list = digest;
    context.volume.write_state(&path, &named)?;
    Ok(())
}

fn path(checked: &Checked) -> Result<StatePath, NameError> {
    StatePath::new(["announced-lists", &checked.key.namespace, &checked.key.name])
}
