//! Applies the steps of a plan to a cloud. It makes no decisions: a step that fails ends its sequence and is reported.

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::hands::{Hands, NameIs};
use super::outcome::Outcome;
use super::{ImagePlan, Keeper, Plan, Retirement, Step, Verdict};
use crate::imagelist::Sha512Digest;
use crate::opennebula::client::Client;
use crate::opennebula::error::{OneError, Reason};

/// Applies a plan, `in_flight` images at a time, and returns the outcomes in the order of the plan.
pub async fn apply(
    plan: Plan,
    client: &Client,
    keeper: &dyn Keeper,
    datastore: u32,
    in_flight: usize,
    now: Timestamp,
) -> Vec<Outcome> {
    let hands = Hands::new(client, keeper, datastore, now);
    stream::iter(plan.images).map(|image| hands.image(image)).buffered(in_flight.max(1)).collect().await
}

impl Hands<'_> {
    async fn image(&self, plan: ImagePlan) -> Outcome {
        let ImagePlan { first, steps, afterwards, overdue, cleanup, .. } = plan;
        let mut outcome = Outcome {
            identifier: plan.identifier,
            verdict: plan.verdict,
            copying: plan.copying,
            record: plan.record,
            retired: plan.retired,
            strangers: plan.strangers,
            done: Vec::new(),
            unfinished: plan.unfinished,
            notes: plan.notes,
        };
        if plan.record_changed && !self.keep(&mut outcome) {
            return outcome;
        }
        if self.free(&first, &mut outcome).await && self.all(&steps, plan.registers, &mut outcome).await {
            self.put_out(&afterwards, &mut outcome).await;
        }
        self.put_out(&overdue, &mut outcome).await;
        for chore in &cleanup {
            self.chore(chore, &mut outcome).await;
        }
        self.close(&mut outcome);
        outcome
    }

    /// Retires the images that have to give up the name. Returns `false` if one of them did not; then the other steps
    /// cannot be done, and the verdict is what is missing.
    async fn free(&self, first: &[Retirement], outcome: &mut Outcome) -> bool {
        for retirement in first {
            if self.retire(retirement, outcome).await == NameIs::Taken {
                let (reason, message) = outcome.unfinished.pop().unwrap_or((Reason::Importing, String::new()));
                outcome.verdict = Verdict::waiting(reason, message);
                outcome.copying = false;
                return false;
            }
        }
        true
    }

    /// Does all steps. The first failure ends them; then it returns `false`.
    async fn all(&self, steps: &[Step], registers: Option<Sha512Digest>, outcome: &mut Outcome) -> bool {
        for step in steps {
            if let Err(error) = self.step(step, registers, outcome).await {
                self.fail(step, &error, outcome);
                return false;
            }
        }
        true
    }

    async fn put_out(&self, retirements: &[Retirement], outcome: &mut Outcome) {
        for retirement in retirements {
            self.retire(retirement, outcome).await;
        }
    }

    /// Checks the verdict `Retired`: nothing may be left in circulation. If so, a pending registration is removed from
    /// the record.
    fn close(&self, outcome: &mut Outcome) {
        if outcome.verdict != Verdict::Retired {
            return;
        }
        if let Some((reason, message)) = outcome.all_unfinished() {
            outcome.verdict = Verdict::waiting(reason, message);
            outcome.unfinished.clear();
        } else if outcome.record.registration.take().is_some() {
            self.keep(outcome);
        }
    }

    fn fail(&self, step: &Step, error: &OneError, outcome: &mut Outcome) {
        outcome.copying = false;
        let (mut reason, mut message) = (error.reason(), error.to_string());
        let mut changed = false;
        if let Step::Allocate { name, .. } = step {
            // An image that the cloud refused will not appear. A name that is taken most likely belongs to this very
            // image.
            let refused = !error.may_be_done() && !matches!(error, OneError::NameTaken { .. });
            changed = refused && outcome.record.registration.take().is_some();
            match error {
                // Most likely an earlier try whose response was lost. The next pass finds out.
                OneError::NameTaken { .. } => {
                    reason = Reason::Importing;
                    message = format!("{name} appeared while it was being registered; looked at again");
                }
                error if error.reason() == Reason::ImportFailed => {
                    outcome.record.fail(message.clone(), self.now);
                }
                _ => {}
            }
        }
        let until = (reason == Reason::ImportFailed).then(|| outcome.record.retry_at()).flatten();
        outcome.verdict = Verdict::Waiting { reason, message, until };
        if until.is_some() || changed {
            self.keep(outcome);
        }
    }
}
