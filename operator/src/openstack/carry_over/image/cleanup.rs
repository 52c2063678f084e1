//! Retires all images of what is no longer wanted; deletes uploads that are not needed, and retired images after their
//! retention time. Pure.

use uuid::Uuid;

use super::{Situation, claimed};
use crate::cloud::Reason;
use crate::openstack::carry_over::image_plan::ImagePlan;
use crate::openstack::carry_over::properties::Role;
use crate::openstack::carry_over::recognise::Mine;
use crate::openstack::carry_over::remembered;
use crate::openstack::carry_over::{Step, Verdict};
use crate::openstack::image::ImageStatus;

impl Situation<'_> {
    /// Plans what is left to do for images that are not in circulation. `serving` is not changed. `current` is the image
    /// that is in circulation when the steps are done, if any.
    pub(super) fn clean_up(&self, serving: Option<Uuid>, current: Option<Uuid>, plan: &mut ImagePlan) {
        for mine in self.ours.iter().filter(|mine| Some(mine.image.id) != serving) {
            let id = mine.image.id;
            match mine.role {
                Role::Current => {}
                Role::Retired if self.is_expired(mine, current) => {
                    if mine.image.protected {
                        plan.notes.push(format!("image {id} is retired long enough, but somebody protected it"));
                    } else {
                        plan.cleanup.push(Step::Delete { id, why: "retired long enough" });
                    }
                }
                Role::Retired => {
                    let retirement = self.finish(mine, plan);
                    plan.overdue.extend(retirement);
                }
                Role::Staged => self.drop_upload(mine, plan),
            }
        }
    }

    /// Deletes an image that was never in circulation. If somebody made it visible, it is retired, because a VM may use
    /// it.
    fn drop_upload(&self, mine: &Mine<'_>, plan: &mut ImagePlan) {
        let id = mine.image.id;
        if mine.is_usable() && !mine.image.os_hidden {
            let retirement = self.retirement(mine, false, plan);
            plan.overdue.extend(retirement);
        } else if mine.image.protected {
            plan.notes.push(format!("image {id} is no longer wanted, but somebody protected it"));
        } else if !plan.steps.iter().chain(&plan.cleanup).any(|step| deletes(step, id)) {
            plan.cleanup.push(Step::Delete { id, why: "no longer wanted" });
        }
    }

    /// Whether a retired image can be deleted: its time is over, and an active successor is in circulation.
    fn is_expired(&self, mine: &Mine<'_>, current: Option<Uuid>) -> bool {
        let Some(keep) = self.settings.delete_after else { return false };
        let Some(since) = remembered::retired_since(mine.image) else { return false };
        let replaced = self.ours.iter().any(|other| {
            let active = other.is_usable() && other.image.status == ImageStatus::Active;
            Some(other.image.id) == current && other.role == Role::Current && active
        });
        replaced && since.checked_add(keep).is_ok_and(|end| end <= self.now)
    }

    /// Retires every image that is in circulation, and deletes uploads.
    pub(super) fn withdraw(&self, plan: &mut ImagePlan) {
        plan.verdict = Verdict::Retired;
        plan.record.clear_failures();
        for mine in &self.ours {
            match mine.role {
                Role::Staged => self.drop_upload(mine, plan),
                Role::Current => {
                    let retirement = self.retirement(mine, false, plan);
                    plan.retired += usize::from(retirement.is_some());
                    if retirement.is_none() {
                        let message = format!("the members of image {} are not known yet", mine.image.id);
                        plan.unfinished.push((Reason::RetirementIncomplete, message));
                    }
                    plan.overdue.extend(retirement);
                }
                Role::Retired => {
                    let retirement = self.finish(mine, plan);
                    plan.overdue.extend(retirement);
                }
            }
        }
        if let Some(image) = self.rival.filter(|image| self.request.record.knows(image.id)) {
            let message = format!("{}, though it was published from here; it is not touched", claimed(image));
            plan.verdict = Verdict::waiting(Reason::NameConflict, message);
        }
        if let Some(until) = plan.record.may_appear_until(self.now) {
            let message = "an image was sent for creation and not answered: it may still appear".to_owned();
            plan.verdict = Verdict::Waiting { reason: Reason::Importing, message, until: Some(until) };
        }
    }
}

fn deletes(step: &Step, image: Uuid) -> bool {
    matches!(step, Step::Delete { id, .. } if *id == image)
}
