//! Makes the calls of steps, one after the other.

use std::collections::HashMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{Keeper, Outcome, PublishedImage, Reference, Retirement, Step, Verdict};
use crate::imagelist::Sha512Digest;
use crate::opennebula::client::Client;
use crate::opennebula::document::Named;
use crate::opennebula::error::{Object, OneError, Reason};

/// The client, and the state that steps share.
pub(super) struct Hands<'a> {
    client: &'a Client,
    keeper: &'a dyn Keeper,
    datastore: u32,
    pub(super) now: Timestamp,
    users: OnceCell<HashMap<String, u32>>,
    groups: OnceCell<HashMap<String, u32>>,
    /// The error after which the cloud is unreachable. No further calls are made then.
    lost: OnceLock<OneError>,
}

/// Whether an image that is being retired has given up its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameIs {
    Free,
    Taken,
}

impl<'a> Hands<'a> {
    pub(super) fn new(client: &'a Client, keeper: &'a dyn Keeper, datastore: u32, now: Timestamp) -> Self {
        let (users, groups) = (OnceCell::new(), OnceCell::new());
        Self { client, keeper, datastore, now, users, groups, lost: OnceLock::new() }
    }

    /// Takes an image out of circulation. The result is read from the image afterwards. What is missing is reported
    /// together with what the cloud refused.
    pub(super) async fn retire(&self, retirement: &Retirement, outcome: &mut Outcome) -> NameIs {
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
    pub(super) async fn chore(&self, step: &Step, outcome: &mut Outcome) {
        match self.step(step, None, outcome).await {
            // It is in use now. It is deleted when it no longer is.
            Ok(()) | Err(OneError::WrongState(_)) => {}
            Err(error) => outcome.notes.push(format!("{step}: {error}")),
        }
    }

    pub(super) async fn step(
        &self,
        step: &Step,
        registers: Option<Sha512Digest>,
        outcome: &mut Outcome,
    ) -> Result<(), OneError> {
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
    pub(super) fn keep(&self, outcome: &mut Outcome) -> bool {
        let kept = self.keeper.keep(&outcome.identifier, &outcome.record);
        if let Err(error) = &kept {
            let message = format!("nothing is done in the cloud, since what was done could not be kept: {error}");
            outcome.verdict = Verdict::waiting(Reason::ImportFailed, message);
        }
        kept.is_ok()
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

/// The message about what an image lacks to be out of circulation, and what the cloud refused.
fn told(id: u32, lacks: &[String], refused: &[(&Step, OneError)]) -> (Reason, String) {
    let reason = refused.first().map_or(Reason::RetirementIncomplete, |(_, error)| retirement_reason(error));
    let refused: Vec<_> = refused.iter().map(|(step, error)| format!("; {step}: {error}")).collect();
    (reason, format!("image {id} is not completely out of circulation: {}{}", lacks.join(", "), refused.concat()))
}

/// The reason if the cloud refused a part of a retirement. A user or group that the cloud does not show means missing
/// rights.
fn retirement_reason(error: &OneError) -> Reason {
    match error {
        OneError::UnknownName { .. } => Reason::NotAuthorized,
        error => match error.reason() {
            reason @ (Reason::NotAuthorized | Reason::ImageLocked | Reason::CloudUnreachable) => reason,
            Reason::Published
            | Reason::Retired
            | Reason::Importing
            | Reason::ImportFailed
            | Reason::NameConflict
            | Reason::ImagePersistent
            | Reason::AdoptionRefused
            | Reason::HookVetoed
            | Reason::RetirementIncomplete => Reason::RetirementIncomplete,
        },
    }
}

fn by_name(objects: Vec<Named>) -> HashMap<String, u32> {
    objects.into_iter().map(|object| (object.name, object.id)).collect()
}

fn find(objects: &HashMap<String, u32>, name: &str, what: &'static str) -> Result<u32, OneError> {
    objects.get(name).copied().ok_or_else(|| OneError::UnknownName { what, name: name.to_owned() })
}
