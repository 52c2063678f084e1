//! Makes the plan.
//!
//! For each image it checks three things in this order: whether the wanted version exists in the cloud; if so, whether it has the
//! name; if not, what prevents its registration.

mod cleanup;
mod register;
mod take_over;

use jiff::Timestamp;

use super::attributes::{self, Role};
use super::image_plan::{ImagePlan, Plan};
use super::names::{refuse_name, retired_name};
use super::recognise::{Index, Mine, Recognised};
use super::{Cloud, Metadata, Record, Reference, Request, Settings, Snapshot, Step, Verdict};
use crate::cloud::{PublishedImage, Reason, Wanted};
use crate::opennebula::document::{Image, ImageState, Permissions};

/// The input of the plan for one image.
struct Situation<'a> {
    index: &'a Index<'a>,
    request: &'a Request,
    settings: &'a Settings,
    cloud: &'a Cloud,
    now: Timestamp,
    ours: Vec<Mine<'a>>,
    /// An image that another operator claims.
    rival: Option<&'a Image>,
    /// The reason why the image that a user named is not adopted.
    refused: Option<String>,
}

/// The metadata that an image should get, of what belongs to the site.
struct Wish {
    owner: Reference,
    group: Reference,
    permissions: Permissions,
    enabled: bool,
    labels: Option<String>,
}

/// Makes the plan for all images from one snapshot of the pool. Pure; the same input gives the same plan.
pub fn plan(snapshot: &Snapshot, requests: &[Request], settings: &Settings, cloud: &Cloud, now: Timestamp) -> Plan {
    let index = Index::new(snapshot, requests);
    Plan { images: requests.iter().map(|request| plan_image(&index, request, settings, cloud, now)).collect() }
}

fn plan_image(index: &Index<'_>, request: &Request, settings: &Settings, cloud: &Cloud, now: Timestamp) -> ImagePlan {
    let Recognised { ours, rival, strangers, refused } = index.recognise(request, settings, cloud);
    let situation = Situation { index, request, settings, cloud, now, ours, rival, refused };
    let mut plan = ImagePlan {
        identifier: request.identifier.clone(),
        registers: None,
        first: Vec::new(),
        steps: Vec::new(),
        afterwards: Vec::new(),
        overdue: Vec::new(),
        cleanup: Vec::new(),
        unfinished: Vec::new(),
        notes: situation.refused.iter().cloned().collect(),
        verdict: Verdict::Retired,
        copying: false,
        record: situation.record(),
        before: request.record.clone(),
        retired: situation.ours.iter().filter(|mine| mine.role == Role::Retired).count(),
        strangers: strangers.iter().map(|image| image.id).collect(),
    };
    match (&request.wanted, index.unreadable(request)) {
        (_, Some(image)) => {
            let message = format!("image {} is there and cannot be read: {}", image.id, image.error);
            plan.verdict = Verdict::waiting(Reason::CloudUnreachable, message);
        }
        (None, None) => situation.withdraw(&mut plan),
        (Some(wanted), None) => match situation.refusal() {
            Some(message) => plan.verdict = Verdict::waiting(Reason::NameConflict, message),
            None => situation.publish(wanted, &mut plan),
        },
    }
    plan
}

impl<'a> Situation<'a> {
    /// The reason why nothing may be published under this identifier, if any.
    fn refusal(&self) -> Option<String> {
        refuse_name(&self.request.identifier).or_else(|| self.rival.map(claimed))
    }

    /// An image that was published by this operator and now has another operator's claim. Its owner may have written
    /// the claim, so it is neither changed nor forgotten.
    fn lost(&self) -> Option<&'a Image> {
        self.rival.filter(|image| self.request.record.of(image).is_some())
    }

    /// An image that was published by this operator and is now hidden from it, unless it was already out of
    /// circulation. Then no other image replaces it, and it is not reported as gone.
    fn hidden(&self) -> Option<String> {
        let kept = |id: u32| self.request.record.images.iter().any(|entry| entry.id == id);
        let hidden = self.index.hidden().iter().find(|hidden| kept(hidden.id))?;
        let (id, text) = (hidden.id, &hidden.text);
        Some(format!("image {id}, which was published from here, is hidden from the operator's user: {text}"))
    }

    fn publish(&self, wanted: &Wanted, plan: &mut ImagePlan) {
        let version = |mine: &&Mine<'_>| mine.digest == Some(wanted.sha512);
        let usable = |mine: &&Mine<'_>| mine.image.is_usable();
        let chosen = self.ours.iter().filter(version).filter(usable).filter(|mine| Self::can_serve(mine));
        let chosen = chosen.min_by_key(|mine| self.rank(mine)).copied();
        match (chosen, self.hidden()) {
            (Some(new), hidden) if self.is_settled(&new) => {
                plan.unfinished.extend(hidden.map(|message| (Reason::NotAuthorized, message)));
                self.keep(wanted, &new, plan);
            }
            (_, Some(message)) => plan.verdict = Verdict::waiting(Reason::NotAuthorized, message),
            (Some(new), None) => self.take_over(wanted, &new, plan),
            (None, None) => {
                self.restore_name(plan);
                match self.ours.iter().filter(version).find(|mine| is_upload(mine)).copied() {
                    Some(upload) => self.wait_for(&upload, plan),
                    None => self.register(wanted, plan),
                }
            }
        }
        let current = match plan.verdict {
            Verdict::Published { id } => Some(id),
            Verdict::Retired | Verdict::Waiting { .. } => None,
        };
        self.clean_up(chosen.map(|mine| mine.image.id), current, plan);
    }

    /// Whether an image can be used. A retired one can only if it is neither persistent nor locked.
    fn can_serve(mine: &Mine<'_>) -> bool {
        mine.role != Role::Retired || (!mine.image.persistent && mine.image.lock.is_none())
    }

    /// The rank of an image; the lowest is used first: the one with the name, then the one with the least work.
    fn rank(&self, mine: &Mine<'_>) -> u8 {
        match mine.role {
            _ if mine.is_named(&self.request.identifier) => 0,
            Role::Current => 1,
            Role::Staged => 2,
            Role::Registering => 3,
            Role::Retired => 4,
        }
    }

    /// Whether it has the name, and got it after everything else was complete.
    fn is_settled(&self, mine: &Mine<'_>) -> bool {
        mine.is_named(&self.request.identifier) && matches!(mine.role, Role::Current | Role::Staged)
    }

    /// The wanted version has the name. The operator's attributes are repaired; the site's metadata is not changed.
    fn keep(&self, wanted: &Wanted, new: &Mine<'_>, plan: &mut ImagePlan) {
        plan.verdict = Verdict::Published { id: new.image.id };
        plan.record.clear_failures();
        plan.record.registration = None;
        if new.image.lock.is_none() {
            self.describe(wanted, new.image, None, plan);
        }
        for old in self.others(new).filter(|old| old.role != Role::Retired) {
            let retirement = self.put_out(old, plan);
            plan.afterwards.extend(retirement);
        }
    }

    /// Updates the attributes that differ from the list and the role.
    fn describe(&self, wanted: &Wanted, image: &Image, labels: Option<&str>, plan: &mut ImagePlan) {
        let (mut template, absent) = attributes::described(self.request, wanted, self.settings, Role::Current);
        if let Some(labels) = labels {
            template.set("LABELS", labels);
        }
        let template = template.changes(&image.attributes);
        if !template.is_empty() {
            plan.steps.push(Step::Update { id: image.id, template, why: "what it is" });
        }
        let names: Vec<_> = absent.into_iter().filter(|name| !image.attribute(name).is_empty()).collect();
        if !names.is_empty() {
            plan.steps.push(Step::Empty { id: image.id, names });
        }
    }

    /// The record of this image's copies, for the next pass.
    fn record(&self) -> Record {
        let mut record = self.request.record.clone();
        let entry = |mine: &Mine<'_>| {
            let (id, registered) = (mine.image.id, Some(mine.image.registered));
            let retired = mine.role == Role::Retired && self.end().is_closed(mine.image);
            mine.digest.map(|sha512| PublishedImage { id, registered, sha512, retired })
        };
        record.images = self.ours.iter().filter_map(entry).collect();
        record.images.extend(self.lost().and_then(|image| self.request.record.of(image)).cloned());
        let unseen = self.index.hidden().iter().map(|hidden| hidden.id);
        let unseen: Vec<u32> = unseen.chain(self.index.unreadable(self.request).map(|image| image.id)).collect();
        record.images.extend(self.request.record.images.iter().filter(|entry| unseen.contains(&entry.id)).cloned());
        record.images.sort_by_key(|entry| entry.id);
        if let Some(registration) = &mut record.registration {
            registration.seen |= self.ours.iter().any(|mine| mine.digest == Some(registration.sha512));
        }
        // Only the metadata of an image with the name is recorded. Under another name it may be the operator's, not the
        // site's.
        let named = self.ours.iter().find(|mine| self.is_settled(mine));
        let metadata = named.map(|mine| Metadata::of(mine.image));
        if metadata.is_some() && metadata != record.metadata {
            record.metadata = metadata;
            record.seen = Some(self.now);
        }
        record
    }

    /// All images of this operator, except this one, that are or were in circulation.
    fn others(&self, new: &Mine<'_>) -> impl Iterator<Item = &Mine<'a>> {
        let (id, identifier) = (new.image.id, &self.request.identifier);
        self.ours
            .iter()
            .filter(move |mine| mine.image.id != id)
            .filter(move |mine| mine.is_live(identifier) || mine.role == Role::Retired)
    }

    /// The image in circulation: the one with the name, or else the newest that had it.
    fn old(&self, new: Option<&Mine<'_>>) -> Option<&Mine<'a>> {
        let identifier = &self.request.identifier;
        let live = || {
            let other = move |mine: &&Mine<'_>| new.is_none_or(|new| new.image.id != mine.image.id);
            self.ours.iter().filter(other).filter(|mine| mine.is_live(identifier))
        };
        live().find(|mine| mine.is_named(identifier)).or_else(|| live().next())
    }

    /// The reason why an image in circulation must not be changed, if any.
    fn blocked(mine: &Mine<'_>) -> Option<(Reason, String)> {
        let Image { id, name, uname, .. } = mine.image;
        if let Some(lock) = mine.image.lock {
            let message =
                format!("image {id} ({name}) was locked by user {}; unlock it to let the update go on", lock.owner);
            return Some((Reason::ImageLocked, message));
        }
        mine.image.persistent.then(|| {
            let message = format!("image {id} ({name} of {uname}) is persistent and holds users' data; make it non-persistent or rename it");
            (Reason::ImagePersistent, message)
        })
    }

    /// The conflict, if an image of somebody else already has this name and owner.
    fn conflict(&self, name: &str, owner: &Reference) -> Option<Verdict> {
        let ours = |image: &Image| self.ours.iter().any(|mine| mine.image.id == image.id);
        let holder = self.index.named(name).iter().find(|image| owner.is(image.uid, &image.uname) && !ours(image))?;
        let Image { id, uname, .. } = holder;
        Some(if holder.state == ImageState::Delete {
            Verdict::waiting(Reason::Importing, format!("image {id}, which has the name {name}, is being removed"))
        } else {
            let message =
                format!("image {id} of {uname} has the name {name} and is not ours; rename it, or let it be adopted");
            Verdict::waiting(Reason::NameConflict, message)
        })
    }

    /// A name for an image that is being retired. No image in the pool has it, whoever its owner is.
    fn retired_name(&self, mine: &Mine<'_>) -> String {
        // Two names in one pass must differ, so the index of the image is added to the seconds.
        let place = self.ours.iter().position(|other| other.image.id == mine.image.id).unwrap_or_default();
        let moved = |seconds: usize| {
            let pause = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default());
            retired_name(&self.request.identifier, self.now.checked_add(pause).unwrap_or(self.now))
        };
        let step = self.ours.len().max(1);
        let mut seconds = place;
        while !self.index.named(&moved(seconds)).is_empty() {
            seconds += step;
        }
        moved(seconds)
    }
}

fn claimed(image: &Image) -> String {
    let claim = image.attribute(attributes::OPERATOR);
    format!("image {} ({}) belongs to the operator {claim:?}", image.id, image.name)
}

/// Whether it was registered but is not usable yet, or never will be.
fn is_upload(mine: &Mine<'_>) -> bool {
    matches!(mine.role, Role::Staged | Role::Registering) && !mine.image.is_usable()
}
