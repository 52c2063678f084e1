//! Steps against a cloud. Decides nothing: what fails ends its own sequence and is told.

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::hands::{Hands, NameIs};
use super::{ImagePlan, Keeper, Plan, Record, Retirement, Step, Verdict};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::client::Client;
use crate::opennebula::error::{OneError, Reason};

/// What became of one image in a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub identifier: ImageId,
    /// What holds now.
    pub verdict: Verdict,
    /// Whether the cloud copies it: that ends by itself.
    pub copying: bool,
    /// What to keep for the next pass; the [`Keeper`] has it already.
    pub record: Record,
    /// How many images of it are out of circulation.
    pub retired: usize,
    /// Images that say they are this one and are not believed.
    pub strangers: Vec<u32>,
    /// The steps that were done, as text.
    pub done: Vec<String>,
    /// Images that should be out of circulation and are not wholly: what is missing, and why.
    pub unfinished: Vec<(Reason, String)>,
    /// What else there is to know: deletions that failed and are tried again, an image that is not adopted.
    pub notes: Vec<String>,
}

impl Outcome {
    /// All that is unfinished as one: the first reason, and what is missing of each.
    pub fn all_unfinished(&self) -> Option<(Reason, String)> {
        let (reason, _) = self.unfinished.first()?;
        let messages: Vec<_> = self.unfinished.iter().map(|(_, message)| message.as_str()).collect();
        Some((*reason, messages.join("; ")))
    }
}

/// Carries out a plan, `in_flight` images at a time, and tells what became of each, in the plan's order.
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
        let ImagePlan { first, steps, afterwards, overdue, chores, .. } = plan;
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
        for chore in &chores {
            self.chore(chore, &mut outcome).await;
        }
        self.close(&mut outcome);
        outcome
    }

    /// Images that have to give up the name. False when one did not: the steps cannot be done, and what is missing is
    /// what holds them up.
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

    /// All steps; the first that fails ends them. False when one did.
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

    /// Nothing may be left in circulation where that is said. If so, nothing is on its way any more.
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
            // What the cloud refused will not appear; a taken name most likely is this very image.
            let refused = !error.may_be_done() && !matches!(error, OneError::NameTaken { .. });
            changed = refused && outcome.record.registration.take().is_some();
            match error {
                // An earlier try whose answer was lost, most likely: the next pass sees which.
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
