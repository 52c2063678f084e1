//! An image that is no longer endorsed, or no longer wanted by the site.

use super::{Situation, claimed};
use crate::opennebula::carry_over::attributes::Role;
use crate::opennebula::carry_over::image_plan::{ImagePlan, Verdict};
use crate::opennebula::carry_over::recognise::Mine;
use crate::opennebula::error::Reason;

impl Situation<'_> {
    /// Retires every image that was ever in circulation, and deletes uploads. An image that ever had the name is not
    /// deleted.
    pub(super) fn withdraw(&self, plan: &mut ImagePlan) {
        plan.verdict = Verdict::Retired;
        plan.record.clear_failures();
        for mine in self.ours.iter().filter(|mine| !mine.legacy) {
            if self.is_only_an_upload(mine) {
                if mine.image.lock.is_none() {
                    plan.steps.push(Self::delete_upload(mine));
                }
            } else if mine.role == Role::Retired || mine.image.is_usable() || mine.is_live(&self.request.identifier) {
                let retirement = self.put_out(mine, plan);
                plan.overdue.extend(retirement);
            }
        }
        if let Some(image) = self.lost() {
            let message = format!("{}, though it was published from here; it is not touched", claimed(image));
            plan.verdict = Verdict::waiting(Reason::NameConflict, message);
        }
        if let Some(message) = self.hidden() {
            plan.verdict = Verdict::waiting(Reason::NotAuthorized, message);
        }
        if let Some(until) = plan.record.may_appear_until(self.now) {
            let message = "a registration was sent and not answered: its image may still appear".to_owned();
            plan.verdict = Verdict::Waiting { reason: Reason::Importing, message, until: Some(until) };
        }
    }

    /// Whether it is an unused upload that never had the name. An image that a VM uses is retired like any other,
    /// because only its role shows that it was an upload, and its owner can write the role.
    fn is_only_an_upload(&self, mine: &Mine<'_>) -> bool {
        matches!(mine.role, Role::Staged | Role::Registering) && self.is_stale(mine)
    }
}
