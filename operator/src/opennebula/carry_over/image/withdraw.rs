//! An image that nobody endorses any longer, or that the site no longer wants.

use super::{Situation, claimed};
use crate::opennebula::carry_over::attributes::Role;
use crate::opennebula::carry_over::plan::{ImagePlan, Verdict};
use crate::opennebula::error::Reason;

impl Situation<'_> {
    /// Everything in circulation is retired, uploads are given up. Nothing is deleted that ever had the name.
    pub(super) fn withdraw(&self, plan: &mut ImagePlan) {
        plan.verdict = Verdict::Retired;
        plan.record.clear_failures();
        for mine in self.ours.iter().filter(|mine| mine.is_live(&self.request.identifier)) {
            if let Some(verdict) = Self::blocked(mine) {
                plan.verdict = verdict;
            } else {
                plan.retired += 1;
                plan.steps.extend(self.retire(mine, self.settings.mode));
            }
        }
        for mine in self.ours.iter().filter(|mine| matches!(mine.role, Role::Staged | Role::Registering)) {
            if self.is_stale(mine) && mine.image.lock.is_none() {
                plan.steps.push(Self::delete_upload(mine));
            }
        }
        if let Some(image) = self.lost() {
            let message = format!("{}, though it was published from here; it is not touched", claimed(image));
            plan.verdict = Verdict::waiting(Reason::NameConflict, message);
        }
        if let Some(until) = plan.record.may_appear_until(self.now) {
            let message = "a registration was sent and not answered: its image may still appear".to_owned();
            plan.verdict = Verdict::Waiting { reason: Reason::Importing, message, until: Some(until) };
        }
        self.tidy(None, None, plan);
    }
}
