//! Steps against a cloud. Decides nothing: what fails ends its own sequence and is told.

use std::collections::HashMap;
use std::sync::OnceLock;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{ImagePlan, Keeper, Plan, PublishedImage, Record, Reference, Step, Verdict};
use crate::imagelist::ImageId;
use crate::opennebula::client::Client;
use crate::opennebula::document::Named;
use crate::opennebula::error::{Object, OneError, Reason};

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
    /// What went wrong with images that are out of circulation; it is tried again.
    pub notes: Vec<String>,
}

/// What steps are done with.
struct Hands<'a> {
    client: &'a Client,
    keeper: &'a dyn Keeper,
    datastore: u32,
    now: Timestamp,
    users: OnceCell<HashMap<String, u32>>,
    groups: OnceCell<HashMap<String, u32>>,
    /// Why the cloud is out of reach, once it is: nothing more is begun.
    lost: OnceLock<OneError>,
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
    let (users, groups) = (OnceCell::new(), OnceCell::new());
    let hands = Hands { client, keeper, datastore, now, users, groups, lost: OnceLock::new() };
    stream::iter(plan.images).map(|image| hands.image(image)).buffered(in_flight.max(1)).collect().await
}

impl Hands<'_> {
    async fn image(&self, plan: ImagePlan) -> Outcome {
        let ImagePlan { identifier, registers, steps, afterwards, chores, verdict, record, record_changed, .. } = plan;
        let (copying, retired, strangers) = (plan.copying, plan.retired, plan.strangers);
        let (done, notes) = (Vec::new(), Vec::new());
        let mut outcome = Outcome { identifier, verdict, copying, record, retired, strangers, done, notes };
        if record_changed && let Err(verdict) = self.keep(&outcome) {
            outcome.verdict = verdict;
            return outcome;
        }
        for step in steps {
            if let Err(error) = self.step(&step, registers, &mut outcome).await {
                self.fail(&step, &error, &mut outcome);
                self.tidy(chores, &mut outcome).await;
                return outcome;
            }
        }
        self.tidy(afterwards, &mut outcome).await;
        self.tidy(chores, &mut outcome).await;
        self.close(&mut outcome);
        outcome
    }

    /// Everything of it is out of circulation: nothing is on its way any more.
    fn close(&self, outcome: &mut Outcome) {
        if outcome.verdict == Verdict::Retired
            && outcome.record.registration.take().is_some()
            && let Err(verdict) = self.keep(outcome)
        {
            outcome.verdict = verdict;
        }
    }

    /// Sequences that are independent of each other and of what the image's condition says.
    async fn tidy(&self, sequences: Vec<Vec<Step>>, outcome: &mut Outcome) {
        for sequence in sequences {
            for step in sequence {
                match self.step(&step, None, outcome).await {
                    Ok(()) => {}
                    // In use by now: it is disabled or deleted when it no longer is.
                    Err(OneError::WrongState(_)) => break,
                    Err(error) => {
                        outcome.notes.push(format!("{step}: {error}"));
                        break;
                    }
                }
            }
        }
    }

    async fn step(
        &self,
        step: &Step,
        registers: Option<crate::imagelist::Sha512Digest>,
        outcome: &mut Outcome,
    ) -> Result<(), OneError> {
        if let Some(error) = self.lost.get() {
            return Err(error.clone());
        }
        let result = self.call(step).await;
        if let Err(error) = &result
            && error.ends_the_pass()
        {
            // The first of several says it.
            let _ = self.lost.set(error.clone());
        }
        if let (Some(id), Some(sha512)) = (result?, registers) {
            // Kept before anything else is done with it: from here on this image is known to be ours.
            outcome.record.images.push(PublishedImage { id, registered: None, sha512 });
            outcome.record.registration.iter_mut().for_each(|registration| registration.seen = true);
            outcome.verdict = self.keep(outcome).err().unwrap_or(outcome.verdict.clone());
        }
        outcome.done.push(step.to_string());
        Ok(())
    }

    /// One call; gives the id of an image that was registered.
    async fn call(&self, step: &Step) -> Result<Option<u32>, OneError> {
        let client = self.client;
        match step {
            Step::Allocate { template, .. } => return client.allocate(template, self.datastore).await.map(Some),
            Step::Update { id, template, .. } => client.update(*id, template).await,
            Step::Empty { id, names } => client.empty_attributes(*id, names).await,
            Step::Chmod { id, permissions } => client.chmod(*id, *permissions).await,
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
        if (until.is_some() || changed)
            && let Err(verdict) = self.keep(outcome)
        {
            outcome.verdict = verdict;
        }
    }

    fn keep(&self, outcome: &Outcome) -> Result<(), Verdict> {
        self.keeper.keep(&outcome.identifier, &outcome.record).map_err(|error| {
            let message = format!("nothing is done in the cloud, since what was done could not be kept: {error}");
            Verdict::waiting(Reason::ImportFailed, message)
        })
    }

    async fn user(&self, reference: Option<&Reference>) -> Result<Option<u32>, OneError> {
        match reference {
            None => Ok(None),
            Some(Reference::Id(id)) => Ok(Some(*id)),
            Some(Reference::Name(name)) => {
                let users = self.users.get_or_try_init(async || self.client.users().await.map(by_name)).await?;
                find(users, name, "user").map(Some)
            }
        }
    }

    async fn group(&self, reference: Option<&Reference>) -> Result<Option<u32>, OneError> {
        match reference {
            None => Ok(None),
            Some(Reference::Id(id)) => Ok(Some(*id)),
            Some(Reference::Name(name)) => {
                let groups = self.groups.get_or_try_init(async || self.client.groups().await.map(by_name)).await?;
                find(groups, name, "group").map(Some)
            }
        }
    }
}

fn by_name(objects: Vec<Named>) -> HashMap<String, u32> {
    objects.into_iter().map(|object| (object.name, object.id)).collect()
}

fn find(objects: &HashMap<String, u32>, name: &str, what: &'static str) -> Result<u32, OneError> {
    objects.get(name).copied().ok_or_else(|| OneError::UnknownName { what, name: name.to_owned() })
}
