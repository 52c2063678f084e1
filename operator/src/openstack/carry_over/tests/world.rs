//! A model of Glance, as the reference and recorded servers have it: what a call changes, and how it can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::change::{apply, blank, fill};
use crate::imagelist::Sha512Digest;
use crate::openstack::carry_over::{Account, Progress, Step};
use crate::openstack::error::{OpenStackError, Refusal};
use crate::openstack::glance::{Change, NewImage};
use crate::openstack::image::{Image, ImageStatus, MemberStatus, Visibility};

pub(super) const PROJECT: &str = "project-of-the-operator";

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// 403.
    Refused,
    /// It is done, and the connection breaks.
    AnswerLost,
    /// It is not done, and the connection breaks.
    Cut,
    /// 503, not done.
    Broken,
    /// 409, not done.
    Conflict,
    /// It is done. The process ends then: no later call is made, and no upload goes on.
    Killed,
}

pub(super) const FAULTS: [Fault; 6] =
    [Fault::Refused, Fault::AnswerLost, Fault::Cut, Fault::Broken, Fault::Conflict, Fault::Killed];

/// Looks at the world after each call that changed it, and says what is wrong.
pub(super) type Watch = Box<dyn Fn(&World) -> Option<String> + Send>;

pub(super) struct World {
    pub(super) images: BTreeMap<Uuid, Image>,
    pub(super) members: BTreeMap<Uuid, BTreeMap<String, MemberStatus>>,
    pub(super) used: BTreeSet<Uuid>,
    pub(super) now: Timestamp,
    pub(super) account: Account,
    pub(super) member_may_publicise: bool,
    pub(super) owner_may_deactivate: bool,
    /// The uploads of the process that is running.
    pub(super) uploads: BTreeMap<Uuid, Progress>,
    /// The files of running uploads.
    pub(super) sending: BTreeMap<Uuid, String>,
    /// The data of all uploads that succeeded.
    pub(super) uploaded: Vec<Sha512Digest>,
    /// All calls, those that change something, and uploads.
    pub(super) calls: Vec<String>,
    pub(super) writes: usize,
    /// The write that fails.
    pub(super) fault: Option<(usize, Fault)>,
    pub(super) dead: bool,
    pub(super) watch: Option<Watch>,
    pub(super) seen: Vec<String>,
    counter: u128,
}

#[derive(Default)]
pub(super) struct Model(Mutex<World>);

fn endpoint() -> String {
    "http://glance.example.org".to_owned()
}

pub(super) fn refusal(status: u16, text: &str) -> OpenStackError {
    let text = text.to_owned();
    OpenStackError::from_refusal(Refusal { call: "CALL", endpoint: endpoint(), status, text })
}

pub(super) fn cut() -> OpenStackError {
    OpenStackError::Unreachable { call: "CALL", endpoint: endpoint(), message: "reset".to_owned() }
}

impl Default for World {
    fn default() -> Self {
        Self {
            images: BTreeMap::new(),
            members: BTreeMap::new(),
            used: BTreeSet::new(),
            now: "2026-11-22T00:00:00Z".parse().unwrap(),
            account: Account { project: PROJECT.to_owned(), ..Account::default() },
            member_may_publicise: true,
            owner_may_deactivate: true,
            uploads: BTreeMap::new(),
            sending: BTreeMap::new(),
            uploaded: Vec::new(),
            calls: Vec::new(),
            writes: 0,
            fault: None,
            dead: false,
            watch: None,
            seen: Vec::new(),
            counter: 0,
        }
    }
}

impl Model {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl World {
    pub(super) fn advance(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// A new process: uploads of the old one ended, and Glance noticed it.
    pub(super) fn restart(&mut self) {
        self.dead = false;
        self.uploads.clear();
        for id in std::mem::take(&mut self.sending).into_keys() {
            if let Some(image) = self.images.get_mut(&id) {
                image.status = ImageStatus::Queued;
            }
        }
    }

    pub(super) fn fresh(&mut self) -> Uuid {
        self.counter += 1;
        Uuid::from_u128(self.counter << 64 | self.counter)
    }

    /// An image of somebody, with data.
    pub(super) fn put(&mut self, owner: &str, properties: &[(&str, &str)]) -> Uuid {
        let id = self.fresh();
        let mut image = blank(id, owner, self.now);
        image.properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fill(&mut image, Sha512Digest::from_bytes([0xee; 64]));
        self.used.insert(id);
        self.images.insert(id, image);
        id
    }

    /// The fault of the next write, if any.
    fn strike(&mut self) -> Option<Fault> {
        let number = self.writes;
        self.writes += 1;
        self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
    }

    /// Makes a change, or lets it fail.
    pub(super) fn write<T>(
        &mut self,
        name: String,
        change: impl FnOnce(&mut Self) -> Result<T, OpenStackError>,
    ) -> Result<T, OpenStackError> {
        if self.dead {
            return Err(cut());
        }
        let fault = self.strike();
        self.calls.push(name);
        match fault {
            Some(Fault::Refused) => return Err(refusal(403, "You are not authorized to complete this action.")),
            Some(Fault::Cut) => return Err(cut()),
            Some(Fault::Broken) => return Err(refusal(503, "busy")),
            Some(Fault::Conflict) => return Err(refusal(409, "conflict")),
            Some(Fault::AnswerLost | Fault::Killed) | None => {}
        }
        let result = change(self);
        self.look();
        match fault {
            Some(Fault::AnswerLost) => Err(cut()),
            Some(Fault::Killed) => {
                self.dead = true;
                Err(cut())
            }
            Some(Fault::Refused | Fault::Cut | Fault::Broken | Fault::Conflict) | None => result,
        }
    }

    fn look(&mut self) {
        let wrong = self.watch.as_ref().and_then(|watch| watch(self));
        self.seen.extend(wrong);
    }

    fn own(&mut self, id: Uuid) -> Result<&mut Image, OpenStackError> {
        let (project, administrator) = (self.account.project.clone(), self.account.is_administrator);
        match self.images.get_mut(&id) {
            None => Err(refusal(404, "No image found")),
            Some(image) if image.owner == project || administrator => Ok(image),
            Some(image) if image.visibility == Visibility::Private => Err(refusal(404, "No image found")),
            Some(_) => Err(refusal(403, "You are not authorized to complete modify_image action.")),
        }
    }

    fn create(&mut self, new: &NewImage) -> Result<Option<Image>, OpenStackError> {
        if !self.used.insert(new.id) {
            return Err(refusal(409, "Image ID already exists!"));
        }
        let mut image = blank(new.id, PROJECT, self.now);
        image.name = Some(new.name.clone());
        image.disk_format = Some(new.disk_format.as_str().to_owned());
        (image.visibility, image.os_hidden, image.protected) = (new.visibility.clone(), new.os_hidden, new.protected);
        (image.tags, image.properties) = (new.tags.clone(), new.properties.clone());
        (image.min_disk, image.min_ram) = (new.min_disk, new.min_ram);
        self.images.insert(new.id, image.clone());
        Ok(Some(image))
    }

    fn patch(&mut self, id: Uuid, changes: &[Change]) -> Result<(), OpenStackError> {
        let may_publicise = self.account.is_administrator || self.member_may_publicise;
        let now = self.now;
        let mut image = self.own(id)?.clone();
        for change in changes {
            apply(&mut image, change, may_publicise)?;
        }
        image.updated_at = now;
        self.images.insert(id, image);
        Ok(())
    }

    pub(super) fn shared(&mut self, id: Uuid) -> Result<&mut BTreeMap<String, MemberStatus>, OpenStackError> {
        if self.own(id)?.visibility != Visibility::Shared {
            return Err(refusal(403, "Only shared images have members."));
        }
        Ok(self.members.entry(id).or_default())
    }

    fn act(&mut self, id: Uuid, from: &ImageStatus, to: ImageStatus) -> Result<(), OpenStackError> {
        let may = self.owner_may_deactivate || self.account.is_administrator;
        let image = self.own(id)?;
        if !may || image.status != *from && image.status != to {
            return Err(refusal(403, "You are not authorized to complete this action."));
        }
        image.status = to;
        Ok(())
    }

    fn delete(&mut self, id: Uuid) -> Result<(), OpenStackError> {
        if self.own(id)?.protected {
            return Err(refusal(403, "protected"));
        }
        self.images.remove(&id);
        self.members.remove(&id);
        self.uploads.remove(&id);
        self.sending.remove(&id);
        Ok(())
    }

    pub(super) fn make(&mut self, step: &Step) -> Result<Option<Image>, OpenStackError> {
        match step {
            Step::Create { new } => return self.create(new),
            Step::Upload { .. } | Step::Import { .. } => Ok(()),
            Step::Patch { id, changes, .. } => self.patch(*id, changes),
            Step::AddMember { id, project } => match self.shared(*id)?.entry(project.clone()) {
                std::collections::btree_map::Entry::Occupied(_) => Err(refusal(409, "duplicate")),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(MemberStatus::Pending);
                    Ok(())
                }
            },
            Step::AcceptMember { id, project } => {
                if !self.account.is_administrator {
                    return Err(refusal(403, "You are not authorized to complete modify_member action."));
                }
                let member = self.shared(*id)?.get_mut(project);
                member.map(|status| *status = MemberStatus::Accepted).ok_or_else(|| refusal(404, "no member"))
            }
            Step::RemoveMember { id, project } => {
                self.shared(*id)?.remove(project).map(drop).ok_or_else(|| refusal(404, "no member"))
            }
            Step::Deactivate { id } => self.act(*id, &ImageStatus::Active, ImageStatus::Deactivated),
            Step::Reactivate { id } => self.act(*id, &ImageStatus::Deactivated, ImageStatus::Active),
            Step::Delete { id, .. } => self.delete(*id),
        }
        .map(|()| None)
    }

    /// All running uploads end. The location of a file is its digest.
    pub(super) fn finish_uploads(&mut self) {
        for (id, path) in std::mem::take(&mut self.sending) {
            let result = self.write(format!("end of the upload of {path}"), |world| {
                let image = world.images.get_mut(&id).ok_or_else(|| refusal(410, "deleted"))?;
                let data: Sha512Digest = path.parse().unwrap();
                fill(image, data);
                world.uploaded.push(data);
                Ok(())
            });
            if let Some(image) = self.images.get_mut(&id).filter(|image| image.status == ImageStatus::Saving) {
                image.status = ImageStatus::Queued;
            }
            match result {
                Ok(()) => drop(self.uploads.remove(&id)),
                Err(error) => drop(self.uploads.insert(id, Progress::Failed(error))),
            }
        }
    }
}
