//! An image whose object is gone.

use super::events::TAKEN_OFF;
use crate::api::{CachedImage, Kind, ObjectKey};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::DesiredState;
use crate::store::{ObjectEvent, ResourceStore};

/// What there is to tell of an image whose object is gone though it was held: somebody has taken its finalizer off.
pub fn gone_while_held<S: ResourceStore>(context: &Context<S>, object: &CachedImage) -> Option<ObjectEvent> {
    let key = ObjectKey::of(object);
    let desired = context.publications.desired(&key).filter(|desired| desired.held)?;
    let targets = object.status.iter().flat_map(|status| &status.targets);
    let stays = targets.filter_map(|target| {
        let standing = context.publications.standing(&key.sibling(&target.name), &key);
        let withdrawn = standing.is_some_and(|standing| standing.withdrawn);
        let owed = !withdrawn && matches!(desired.at.get(&target.name), Some(DesiredState::Withdraw));
        target.id.as_ref().filter(|_| owed).map(|id| format!("image {id} at {}", target.name))
    });
    let stays: Vec<String> = stays.collect();
    let message = format!("{} stays in circulation: {TAKEN_OFF}", stays.join(", "));
    let reason = "RetireAbandoned".to_owned();
    (!stays.is_empty()).then_some(ObjectEvent { kind: Kind::Image, key, warning: true, reason, message })
}
