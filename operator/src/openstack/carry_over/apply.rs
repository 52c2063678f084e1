//! Applies the steps of a plan to a cloud: makes their calls, one after the other. It makes no decisions: a step that
//! fails ends its sequence and is reported.

use std::sync::OnceLock;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::failure::{advice, reason_of};
use super::glance::Glance;
use super::{ImagePlan, Outcome, Plan, Retirement, Step, Verdict};
use crate::cloud::{Keeper, PublishedImage, Reason};
use crate::openstack::error::OpenStackError;
use crate::openstack::image::Image;

/// Applies a plan, `in_flight` images at a time, and returns the outcomes in the order of the plan.
pub async fn apply(
    plan: Plan,
    glance: &impl Glance,
    keeper: &dyn Keeper,
    in_flight: usize,
    now: Timestamp,
) -> Vec<Outcome> {
    let hands = Hands { glance, keeper, now, lost: OnceLock::new() };
    stream::iter(plan.images).map(|image| hands.image(image)).buffered(in_flight.max(1)).collect().await
}

/// The cloud, and the state that steps share.
struct Hands<'a, G> {
    glance: &'a G,
    keeper: &'a dyn Keeper,
    now: Timestamp,
    /// The error after which the cloud is unreachable. No further calls are made then.
    lost: OnceLock<OpenStackError>,
}

impl<G: Glance> Hands<'_, G> {
    async fn image(&self, plan: ImagePlan) -> Outcome {
        let changed = plan.record_changed();
        let ImagePlan { steps, afterwards, overdue, cleanup, seen_upload, .. } = plan;
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
        if changed && !self.keep(&mut outcome) {
            return outcome;
        }
        if let Some(id) = seen_upload {
            self.glance.forget_failure(id);
        }
        if self.all(&steps, &mut outcome).await {
            self.put_out(&afterwards, &mut outcome).await;
        }
        self.put_out(&overdue, &mut outcome).await;
        for chore in &cleanup {
            self.chore(chore, &mut outcome).await;
        }
        self.close(&mut outcome);
        outcome
    }

    /// Does all steps. The first failure ends them; then it returns `false`.
    async fn all(&self, steps: &[Step], outcome: &mut Outcome) -> bool {
        for step in steps {
            if let Err(error) = self.step(step, outcome).await {
                self.fail(step, &error, outcome);
                return false;
            }
        }
        true
    }

    /// Takes images out of circulation.
    async fn put_out(&self, retirements: &[Retirement], outcome: &mut Outcome) {
        for retirement in retirements {
            if self.retire(retirement, outcome).await {
                self.note_retired(retirement.id, outcome);
            }
        }
    }

    /// Returns whether the image is out of circulation now.
    async fn retire(&self, Retirement { id, steps }: &Retirement, outcome: &mut Outcome) -> bool {
        let mut complete = true;
        for step in steps {
            let Err(error) = self.step(step, outcome).await else { continue };
            let refused = matches!(error, OpenStackError::Forbidden(_));
            match (step, &error) {
                (_, OpenStackError::NotFound(_) | OpenStackError::Gone(_)) => return complete,
                // The policy does not let the project do this. The image is hidden and private in any case.
                (Step::Deactivate { .. }, _) if refused => continue,
                _ => {}
            }
            let message = format!("image {id} is not completely out of circulation: {step}: {error}");
            outcome.unfinished.push((retirement_reason(&error), message));
            complete = false;
            // A failed change ends the steps, because it is what remembers the site's metadata. A member that cannot be
            // removed does not keep the image from being private.
            if !(refused && matches!(step, Step::RemoveMember { .. })) {
                break;
            }
        }
        complete
    }

    fn note_retired(&self, id: uuid::Uuid, outcome: &mut Outcome) {
        let entry = outcome.record.images.iter_mut().find(|entry| entry.id == id && !entry.retired);
        if let Some(entry) = entry {
            entry.retired = true;
            self.keep(outcome);
        }
    }

    /// Makes a deletion that nothing else depends on.
    async fn chore(&self, step: &Step, outcome: &mut Outcome) {
        match self.step(step, outcome).await {
            // It is in use now. It is deleted when it no longer is.
            Ok(()) | Err(OpenStackError::InUse(_)) => {}
            Err(error) => outcome.notes.push(format!("{step}: {error}")),
        }
    }

    /// Checks the verdict `Retired`: nothing may be left in circulation. If so, a registration is removed from the
    /// record.
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

    fn fail(&self, step: &Step, error: &OpenStackError, outcome: &mut Outcome) {
        outcome.copying = false;
        let reason = reason_of(step, error);
        let message = format!("{step}: {error}{}", advice(step, error));
        let mut until = None;
        let mut changed = false;
        if matches!(step, Step::Create { .. } | Step::Import { .. }) {
            changed = Self::fail_registration(step, error, outcome);
            if matches!(
                reason,
                Reason::ImportFailed | Reason::QuotaExceeded | Reason::NotAuthorized | Reason::FormatNotAccepted
            ) {
                outcome.record.fail_as(reason, message.clone(), self.now);
                until = outcome.record.retry_at();
            }
        }
        outcome.verdict = Verdict::Waiting { reason, message, until };
        if until.is_some() || changed {
            self.keep(outcome);
        }
    }

    /// What a failed creation means for its registration. Returns whether the record changed.
    fn fail_registration(step: &Step, error: &OpenStackError, outcome: &mut Outcome) -> bool {
        if !matches!(step, Step::Create { .. }) || error.may_be_done() {
            return false;
        }
        if matches!(error, OpenStackError::Conflict(_)) {
            // Most likely an earlier try whose answer was lost. If the next pass does not find its image, the id was used
            // for another, or its image was deleted.
            outcome.record.registration.iter_mut().for_each(|registration| registration.seen = true);
            return true;
        }
        outcome.record.registration.take().is_some()
    }

    async fn step(&self, step: &Step, outcome: &mut Outcome) -> Result<(), OpenStackError> {
        if let Some(error) = self.lost.get() {
            return Err(error.clone());
        }
        let result = self.glance.make(step).await;
        if let Err(error) = &result
            && error.ends_the_pass()
        {
            // The first of several errors is kept.
            let _ = self.lost.set(error.clone());
        }
        match result {
            Ok(Some(image)) => self.note_created(&image, outcome),
            Ok(None) => {}
            Err(error) if is_done_before(step, &error) => {}
            Err(error) => return Err(error),
        }
        outcome.done.push(step.to_string());
        Ok(())
    }

    /// The record has the new image before anything else is done with it.
    fn note_created(&self, image: &Image, outcome: &mut Outcome) {
        let Some(registration) = &mut outcome.record.registration else { return };
        registration.seen = true;
        let (id, sha512) = (image.id, registration.sha512);
        let registered = Some(image.created_at.as_second());
        outcome.record.images.retain(|entry| entry.id != id);
        outcome.record.images.push(PublishedImage { id, registered, sha512, retired: false });
        outcome.record.images.sort_by_key(|entry| entry.id);
        self.keep(outcome);
    }

    /// Stores the record. Returns `false` if that failed, and sets the verdict.
    fn keep(&self, outcome: &mut Outcome) -> bool {
        let record = outcome.record.stored().map_err(|error| error.to_string());
        let kept = record.and_then(|record| self.keeper.keep(&outcome.identifier, &record));
        if let Err(error) = &kept {
            let message = format!("nothing is done in the cloud, since what was done could not be kept: {error}");
            outcome.verdict = Verdict::waiting(Reason::ImportFailed, message);
        }
        kept.is_ok()
    }
}

/// Whether an error means that everything is already as the step makes it.
fn is_done_before(step: &Step, error: &OpenStackError) -> bool {
    match (step, error) {
        (Step::RemoveMember { .. }, OpenStackError::NotFound(_))
        | (Step::Delete { .. }, OpenStackError::NotFound(_) | OpenStackError::Gone(_)) => true,
        (_, _) => false,
    }
}

/// The reason if the cloud refused a part of a retirement.
fn retirement_reason(error: &OpenStackError) -> Reason {
    let reason = error.reason();
    if matches!(reason, Reason::NotAuthorized | Reason::CloudUnreachable) {
        reason
    } else {
        Reason::RetirementIncomplete
    }
}
