//! Asks the handlers before an image is published in the cloud, or retired there.

use jiff::Timestamp;

use super::check::Checked;
use super::observe::{Observed, TargetImage};
use super::request::Asked;
use crate::api::Kind;
use crate::cloud::{Plan, PlannedImage, Reason};
use crate::events::{EventType, ImageMetadata, Veto};
use crate::reconcile::announced::{self, object, of_list_entry};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::{DesiredState, Offer};
use crate::store::ResourceStore;

/// Asks the handlers about each image that the plan begins to publish or to retire. An image whose step is vetoed stays
/// as it is; the others are not affected. What has begun is not asked about again.
pub(super) async fn ask<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    asked: &[Asked],
    mut plan: Box<dyn Plan>,
    now: Timestamp,
) -> Box<dyn Plan> {
    if !context.events.are_wanted() {
        return plan;
    }
    let requested = asked.iter().zip(&observed.wanted).filter(|(asked, _)| asked.request.is_some());
    for (image, (_, wanted)) in plan.images().into_iter().zip(requested) {
        if let Err(veto) = ask_image(context, checked, wanted, image, now).await {
            image.hold(Reason::HookVetoed, veto.to_string(), veto.again);
        }
    }
    plan
}

async fn ask_image<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    wanted: &TargetImage,
    plan: &dyn PlannedImage,
    now: Timestamp,
) -> Result<(), Veto> {
    let anew = wanted.desired.asked;
    let of = || (object(Kind::Image, &wanted.image), Some(checked.key.name.clone()));
    let event = |kind: EventType, image: ImageMetadata| context.events.before(kind, of(), image, now);
    // A record that cannot be read is reported by the image's own pass.
    let known = || announced::read(context, &wanted.image).ok().flatten();
    let old = || known().and_then(|mut known| known.published.remove(&checked.key.name));
    match wanted.desired.at.get(&checked.key.name) {
        Some(DesiredState::Publish(offer)) if plan.registers() => {
            context.events.ask(&event(EventType::Publish, metadata(offer)), anew).await?;
            if let Some(old) = old() {
                context.events.ask(&event(EventType::Retire, old), anew).await?;
            }
        }
        Some(DesiredState::Withdraw) if plan.retires() => {
            let identifier = wanted.desired.identifier.to_string();
            let image = old().unwrap_or_else(|| ImageMetadata { identifier, ..ImageMetadata::default() });
            let event = event(EventType::Retire, image);
            if wanted.desired.revoked {
                context.events.announce(&event).await;
            } else {
                context.events.ask(&event, anew).await?;
            }
        }
        Some(DesiredState::Publish(_) | DesiredState::Withdraw | DesiredState::Leave | DesiredState::Release)
        | None => {}
    }
    Ok(())
}

fn metadata(offer: &Offer) -> ImageMetadata {
    of_list_entry(&offer.image, &offer.list, offer.vo.as_deref())
}
