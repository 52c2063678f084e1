//! An image that nobody endorses any longer, or that the site no longer wants.

use super::Situation;
use crate::opennebula::carry_over::plan::{ImagePlan, Verdict};

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
        self.tidy(None, None, plan);
    }
}
