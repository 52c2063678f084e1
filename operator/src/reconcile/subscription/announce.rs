//! The events of a list that was accepted, and of the images that it names for the first time.
//!
//! What was announced is compared with the list in force, so that no event is lost if the program stops after a list came
//! into force.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::check::Checked;
use super::events;
use super::observe::Observed;
use super::plan::Plan;
use crate::api::Kind;
use crate::cache::{NameError, StatePath};
use crate::events::{Event, EventType, Phase};
use crate::reconcile::announced::{object, of_list_entry};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::ListInForce;
use crate::reconcile::step::StepProblem;
use crate::store::ResourceStore;

/// What was announced of a subscription. Its file is `state/announced-lists/<namespace>/<name>.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    /// The digest of the message of the last list that was announced.
    list: String,
    /// How many lists were announced. It makes the identities of their events.
    #[serde(default)]
    lists: u64,
    /// The identifiers that any accepted list named.
    identifiers: BTreeSet<String>,
}

/// Announces the list in force, and its images that no earlier list named, if they are not announced. After the first
/// sink is configured, a list that was accepted before and its images are not new.
pub(super) fn announce<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), StepProblem> {
    let Some(in_force) = plan.list.as_ref().filter(|_| context.events.are_wanted()) else { return Ok(()) };
    let (list, digest) = (in_force.accepted.list(), in_force.accepted.message_digest().to_string());
    let path = path(checked)?;
    let before = context.volume.read_state::<Named>(&path)?;
    let mut named = before.unwrap_or_else(|| known_from_status(checked, observed, in_force, &digest));
    let mut events = Vec::new();
    if named.list != digest {
        named.lists += 1;
        events.push(accepted(checked, &named, &digest, events::accepted_message(plan, in_force)));
    }
    let new = list.images.iter().filter(|image| !named.identifiers.contains(image.identifier.as_str()));
    events.extend(new.map(|image| Event {
        image: Some(Box::new(of_list_entry(image, &list.identifier, list.vo.as_deref()))),
        ..event(checked, EventType::SubscriptionImageNew, image.identifier.as_str())
    }));
    if named.list == digest && events.is_empty() {
        return Ok(());
    }
    context.events.append(events, now)?;
    named.identifiers.extend(list.images.iter().map(|image| image.identifier.to_string()));
    named.list = digest;
    context.volume.write_state(&path, &named)?;
    Ok(())
}

/// What an operator that had no sink before would have announced: the list in the status, and the images of the lists
/// before the one in force.
fn known_from_status(checked: &Checked, observed: &Observed, in_force: &ListInForce, digest: &str) -> Named {
    let Some(known) = &observed.status.list else { return Named::default() };
    let is_known = known.digest == digest;
    let lists = in_force.older.iter().chain(Some(&in_force.accepted).filter(|_| is_known));
    let listed = lists.flat_map(|list| &list.list().images).map(|image| image.identifier.to_string());
    let own = observed.images.iter().filter(|image| image.spec.subscription_ref.name == checked.key.name);
    let identifiers = listed.chain(own.map(|image| image.spec.identifier.clone())).collect();
    Named { list: known.digest.clone(), lists: 0, identifiers }
}

fn accepted(checked: &Checked, named: &Named, digest: &str, message: String) -> Event {
    Event {
        reason: Some("ListAccepted".to_owned()),
        message: Some(message),
        ..event(checked, EventType::ListAccepted, &format!("ListAccepted {} {digest}", named.lists))
    }
}

/// An event of the subscription. What occurred makes its identity.
fn event(checked: &Checked, event: EventType, occurred: &str) -> Event {
    let object = object(Kind::Subscription, &checked.key);
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{} {object} {occurred}", object.kind).as_bytes());
    Event { object: Some(object), ..Event::new(id, event, Phase::After) }
}

fn path(checked: &Checked) -> Result<StatePath, NameError> {
    StatePath::new(["announced-lists", &checked.key.namespace, &checked.key.name])
}
