//! Images whose objects no longer exist.

use super::events::TAKEN_OFF;
use crate::api::{CachedImage, Kind, ObjectKey};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::DesiredState;
use crate::store::{ObjectEvent, ResourceStore};

/// The event of an image whose object was deleted although it was held: somebody has removed its finalizer. `None` if
/// nothing of it stays in circulation.
pub fn gone_while_held<S: ResourceStore>(context: &Context<S>, object: &CachedImage) -> Option<ObjectEvent> {
    let key = ObjectKey::of(object);
    let desired = context.publications.desired(&key).filter(|desired| desired.held)?;
    let targets = object.status.iter().flat_map(|status| &status.targets);
    let stays = targets.filter_map(|target| {
        let publication = context.publications.status(&key.sibling(&target.name), &key);
        let withdrawn = publication.is_some_and(|publication| publication.withdrawn);
        let remains = !withdrawn && matches!(desired.at.get(&target.name), Some(DesiredState::Withdraw));
        target.id.as_ref().filter(|_| remains).map(|id| format!("image {id} at {}", target.name))
    });
    let stays: Vec<String> = stays.collect();
    let message = format!("{} stays in circulation: {TAKEN_OFF}", stays.join(", "));
    let reason = "RetireAbandoned".to_owned();
    (!stays.is_empty()).then_some(ObjectEvent { kind: Kind::Image, key, warning: true, reason, message })
}
