//! Applies the steps of a plan to a cloud: makes their calls, one after the other. It makes no decisions: a step that
//! fails ends its sequence and is reported.

use std::collections::HashMap;
use std::sync::OnceLock;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{ImagePlan, Outcome, Plan, Reference, Retirement, Step, Verdict};
use crate::cloud::{Keeper, PublishedImage, Reason};
use crate::imagelist::Sha512Digest;
use crate::opennebula::client::Client;
use crate::opennebula::document::Named;
use crate::opennebula::error::{Object, OneError};

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
        let changed = plan.record_changed();
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
        if changed && !self.keep(&mut outcome) {
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

/// The client, and the state that steps share.
struct Hands<'a> {
    client: &'a Client,
    keeper: &'a dyn Keeper,
    datastore: u32,
    now: Timestamp,
    users: OnceCell<HashMap<String, u32>>,
    groups: OnceCell<HashMap<String, u32>>,
    /// The error after which the cloud is unreachable. No further calls are made then.
    lost: OnceLock<OneError>,
}

/// Whether an image that is being retired has given up its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameIs {
    Free,
    Taken,
}

impl<'a> Hands<'a> {
    fn new(client: &'a Client, keeper: &'a dyn Keeper, datastore: u32, now: Timestamp) -> Self {
        let (users, groups) = (OnceCell::new(), OnceCell::new());
        Self { client, keeper, datastore, now, users, groups, lost: OnceLock::new() }
    }

    /// Takes an image out of circulation. The result is read from the image afterwards. What is missing is reported
    /// together with what the cloud refused.
    async fn retire(&self, retirement: &Retirement, outcome: &mut Outcome) -> NameIs {
        let (mut refused, mut given) = (Vec::new(), false);
        for step in &retirement.steps {
            match self.step(step, None, outcome).await {
                Ok(()) => given |= matches!(step, Step::Chown { .. }),
                // It is in use now. It is disabled when it no longer is.
                Err(OneError::WrongState(_)) => {}
                Err(error) => refused.push((step, error)),
            }
        }
        let (id, end) = (retirement.id, &retirement.end);
        let (lacks, closed, name) = match self.reachable(self.client.image(id)).await {
            Ok(image) => {
                let name = if end.is_nameless(&image) { NameIs::Free } else { NameIs::Taken };
                (end.lacks(&image), end.is_closed(&image), name)
            }
            Err(OneError::NotFound { what: Object::Image, .. }) => (Vec::new(), true, NameIs::Free),
            // Only its new owner can read it now.
            Err(OneError::NotAuthorized(_)) if given && refused.is_empty() => (Vec::new(), true, NameIs::Free),
            Err(error) => (vec![format!("what it is cannot be read: {error}")], false, NameIs::Taken),
        };
        if closed {
            self.note_retired(id, outcome);
        }
        if !lacks.is_empty() {
            outcome.unfinished.push(told(id, &lacks, &refused));
        }
        name
    }

    fn note_retired(&self, id: u32, outcome: &mut Outcome) {
        let entry = outcome.record.images.iter_mut().find(|entry| entry.id == id && !entry.retired);
        if let Some(entry) = entry {
            entry.retired = true;
            self.keep(outcome);
        }
    }

    /// Makes a deletion that nothing else depends on.
    async fn chore(&self, step: &Step, outcome: &mut Outcome) {
        match self.step(step, None, outcome).await {
            // It is in use now. It is deleted when it no longer is.
            Ok(()) | Err(OneError::WrongState(_)) => {}
            Err(error) => outcome.notes.push(format!("{step}: {error}")),
        }
    }

    async fn step(&self, step: &Step, registers: Option<Sha512Digest>, outcome: &mut Outcome) -> Result<(), OneError> {
        if let (Some(id), Some(sha512)) = (self.reachable(self.call(step)).await?, registers) {
            // It is stored before anything else is done with the image. From now on the image is known to be the
            // operator's.
            outcome.record.images.push(PublishedImage { id, registered: None, sha512, retired: false });
            outcome.record.registration.iter_mut().for_each(|registration| registration.seen = true);
            self.keep(outcome);
        }
        outcome.done.push(step.to_string());
        Ok(())
    }

    /// Makes a call, unless the cloud is already unreachable.
    async fn reachable<T>(&self, call: impl Future<Output = Result<T, OneError>>) -> Result<T, OneError> {
        if let Some(error) = self.lost.get() {
            return Err(error.clone());
        }
        let result = call.await;
        if let Err(error) = &result
            && error.ends_the_pass()
        {
            // The first of several errors is kept.
            let _ = self.lost.set(error.clone());
        }
        result
    }

    /// Makes the call of a step; returns the id of a registered image.
    async fn call(&self, step: &Step) -> Result<Option<u32>, OneError> {
        let client = self.client;
        match step {
            Step::Allocate { template, .. } => return client.allocate(template, self.datastore).await.map(Some),
            Step::Update { id, template, .. } => client.update(*id, template).await,
            Step::Empty { id, names } => client.empty_attributes(*id, names).await,
            Step::Chmod { id, from, to } => client.chmod(*id, *from, *to).await,
            Step::Chown { id, owner, group } => {
                let (uid, gid) = (self.user(owner.as_ref()).await?, self.group(group.as_ref()).await?);
                client.chown(*id, uid, gid).await
            }
            Step::Rename { id, name } => client.rename(*id, name).await,
            Step::Enable { id } => client.enable(*id, true).await,
            Step::Disable { id } => client.enable(*id, false).await,
            Step::Delete { id, force, .. } => match client.delete(*id, *force).await {
                Err(OneError::NotFound { what: Object::Image, .. }) => Ok(()), // gone already
                result => result,
            },
        }
        .map(|()| None)
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

    async fn user(&self, reference: Option<&Reference>) -> Result<Option<u32>, OneError> {
        find(reference, &self.users, self.client.users(), "user").await
    }

    async fn group(&self, reference: Option<&Reference>) -> Result<Option<u32>, OneError> {
        find(reference, &self.groups, self.client.groups(), "group").await
    }
}

/// The id of a user or group. Their names are read at most once, and only if one is needed.
async fn find(
    reference: Option<&Reference>,
    known: &OnceCell<HashMap<String, u32>>,
    read: impl Future<Output = Result<Vec<Named>, OneError>>,
    what: &'static str,
) -> Result<Option<u32>, OneError> {
    match reference {
        None => Ok(None),
        Some(Reference::Id(id)) => Ok(Some(*id)),
        Some(Reference::Name(name)) => {
            let by_name = |objects: Vec<Named>| objects.into_iter().map(|object| (object.name, object.id)).collect();
            let known = known.get_or_try_init(async || read.await.map(by_name)).await?;
            known.get(name).copied().map(Some).ok_or_else(|| OneError::UnknownName { what, name: name.clone() })
        }
    }
}

/// The message about what an image lacks to be out of circulation, and what the cloud refused.
fn told(id: u32, lacks: &[String], refused: &[(&Step, OneError)]) -> (Reason, String) {
    let reason = refused.first().map_or(Reason::RetirementIncomplete, |(_, error)| retirement_reason(error));
    let refused: Vec<_> = refused.iter().map(|(step, error)| format!("; {step}: {error}")).collect();
    (reason, format!("image {id} is not completely out of circulation: {}{}", lacks.join(", "), refused.concat()))
}

/// The reason if the cloud refused a part of a retirement. A user or group that the cloud does not show means missing
/// rights.
fn retirement_reason(error: &OneError) -> Reason {
    let reason = error.reason();
    if matches!(error, OneError::UnknownName { .. }) {
        Reason::NotAuthorized
    } else if matches!(reason, Reason::NotAuthorized | Reason::ImageLocked | Reason::CloudUnreachable) {
        reason
    } else {
        Reason::RetirementIncomplete
    }
}
