//! Makes the plan. Pure.
//!
//! For each image it checks three things in this order: whether the wanted version exists in the cloud with verified
//! data; if so, whether it is in circulation; if not, what prevents its registration.

mod arrive;
mod cleanup;
mod hand_over;
mod memory;
mod register;
mod retire;

use jiff::Timestamp;
use uuid::Uuid;

use super::changes::Changes;
use super::image_plan::{ImagePlan, Needs, Plan};
use super::metadata::{Members, Metadata, Record};
use super::properties::{self, OPERATOR, RETIRED_TAG, Role, TAG};
use super::recognise::{Index, Mine, Recognised, shown};
use super::{Request, Snapshot, Verdict};
use crate::cloud::{PublishedImage, Reason, Wanted};
use crate::openstack::image::{Image, ImageStatus, Visibility};
use crate::openstack::settings::Settings;

/// The input of the plan for one image.
struct Situation<'a> {
    index: &'a Index<'a>,
    request: &'a Request,
    settings: &'a Settings,
    /// The id of a new image.
    fresh: Option<Uuid>,
    now: Timestamp,
    /// The newest first.
    ours: Vec<Mine<'a>>,
    /// An image that another operator claims.
    rival: Option<&'a Image>,
    /// The reason why the image that a user named is not adopted.
    refused: Option<String>,
}

/// Makes the plan for all images from one snapshot. Pure; the same input gives the same plan.
pub fn plan(snapshot: &Snapshot, requests: &[Request], settings: &Settings, now: Timestamp) -> Plan {
    let index = Index::new(snapshot, requests);
    let fresh = snapshot.fresh.iter().copied().map(Some).chain(std::iter::repeat(None));
    let images = requests.iter().zip(fresh).map(|(request, fresh)| plan_image(&index, request, settings, fresh, now));
    Plan { images: images.collect() }
}

fn plan_image(
    index: &Index<'_>,
    request: &Request,
    settings: &Settings,
    fresh: Option<Uuid>,
    now: Timestamp,
) -> ImagePlan {
    let Recognised { ours, rival, strangers, refused, notes } = index.recognise(request, settings);
    let situation = Situation { index, request, settings, fresh, now, ours, rival, refused };
    let mut plan = ImagePlan {
        identifier: request.identifier.clone(),
        registers: None,
        steps: Vec::new(),
        afterwards: Vec::new(),
        overdue: Vec::new(),
        cleanup: Vec::new(),
        seen_upload: None,
        needs: Needs::default(),
        unfinished: Vec::new(),
        notes: notes.into_iter().chain(situation.refused.iter().cloned()).collect(),
        verdict: Verdict::Retired,
        copying: false,
        record: situation.record(),
        before: request.record.clone(),
        retired: situation.count_retired(),
        strangers: strangers.iter().map(|image| image.id).collect(),
    };
    match (&request.wanted, index.unreadable(request)) {
        (_, Some(image)) => plan.verdict = Verdict::waiting(Reason::CloudUnreachable, image.to_string()),
        (None, None) => situation.withdraw(&mut plan),
        (Some(wanted), None) => match situation.rival {
            Some(image) => plan.verdict = Verdict::waiting(Reason::NameConflict, claimed(image)),
            None => situation.publish(wanted, &mut plan),
        },
    }
    plan
}

impl<'a> Situation<'a> {
    fn snapshot(&self) -> &'a Snapshot {
        self.index.snapshot
    }

    fn publish(&self, wanted: &Wanted, plan: &mut ImagePlan) {
        let version = |mine: &&Mine<'_>| mine.digest == Some(wanted.sha512);
        let usable = self.ours.iter().filter(version).filter(|mine| mine.is_usable());
        let is_complete = |mine: &Mine<'_>| !mine.is_being_imported() && self.is_verified(mine, wanted);
        let chosen = usable.filter(|mine| mine.role != Role::Staged || is_complete(mine));
        let chosen = chosen.min_by_key(|mine| (mine.role, mine.image.status != ImageStatus::Active)).copied();
        let serving = match chosen {
            Some(new) if new.role == Role::Current => {
                self.keep(wanted, &new, plan);
                Some(new.image.id)
            }
            Some(new) => {
                self.take_over(wanted, &new, plan);
                Some(new.image.id)
            }
            None => self.bring(wanted, plan),
        };
        let current = match plan.verdict {
            Verdict::Published { id } => Some(id),
            Verdict::Retired | Verdict::Waiting { .. } => None,
        };
        self.clean_up(serving, current, plan);
    }

    /// The wanted version is not there with verified data. Returns the image that gets them, if it exists.
    fn bring(&self, wanted: &Wanted, plan: &mut ImagePlan) -> Option<Uuid> {
        let mut same = self.ours.iter().filter(|mine| mine.digest == Some(wanted.sha512));
        if let Some(strange) = same.clone().find(|mine| is_strange(mine)) {
            let Image { id, status, .. } = strange.image;
            let message = format!("image {id} has the status {status}, which this program does not know");
            plan.verdict = Verdict::waiting(Reason::CloudUnreachable, message);
            return Some(*id);
        }
        let registered = self.request.record.registration.as_ref().and_then(|registration| registration.id);
        let staged = |mine: &&Mine<'_>| mine.role == Role::Staged;
        let upload = same.clone().filter(staged).find(|mine| Some(mine.image.id) == registered);
        let Some(upload) = upload.or_else(|| same.find(staged)) else {
            self.register(wanted, plan);
            return None;
        };
        self.wait_for(upload, wanted, plan);
        Some(upload.image.id)
    }

    /// The wanted version is in circulation. The operator's properties are repaired; the site's metadata is not changed.
    fn keep(&self, wanted: &Wanted, new: &Mine<'_>, plan: &mut ImagePlan) {
        let image = new.image;
        plan.verdict = Verdict::Published { id: image.id };
        plan.record.clear_failures();
        plan.record.registration = None;
        let described = properties::described(&self.request.identifier, wanted, self.settings, Role::Current);
        let stale = properties::stale(image, &described, self.settings);
        let tags = image.tags.iter().filter(|tag| *tag != RETIRED_TAG).cloned().chain([TAG.to_owned()]).collect();
        let changes = Changes::of(image).tags(tags).set(&described).remove(stale);
        plan.steps.extend(changes.step("what it is"));
        let is_protected = image.protected;
        for other in self.others(image.id) {
            if other.digest == Some(wanted.sha512) {
                let (id, other) = (image.id, other.image.id);
                plan.notes.push(format!("images {id} and {other} are of the same version; {other} is retired"));
            }
            let retirement = self.retirement(other, is_protected, plan);
            plan.retired += usize::from(retirement.is_some());
            plan.afterwards.extend(retirement);
        }
    }

    /// All other images in circulation.
    fn others(&self, new: Uuid) -> impl Iterator<Item = &Mine<'a>> {
        self.ours.iter().filter(move |mine| mine.image.id != new && mine.role == Role::Current)
    }

    /// Whether the data of an image are the bytes that were sent to it, or those of the list.
    fn is_verified(&self, mine: &Mine<'_>, wanted: &Wanted) -> bool {
        mine.image.has_digest(self.expected(mine).into_iter().chain([wanted.sha512]))
    }

    /// The digest of the bytes that were sent to an image.
    fn expected(&self, mine: &Mine<'_>) -> Option<crate::imagelist::Sha512Digest> {
        let registration = self.request.record.registration.as_ref();
        let registration = registration.filter(|registration| registration.id == Some(mine.image.id));
        registration.and_then(|registration| registration.sent).or_else(|| properties::sent_digest(mine.image))
    }

    /// The members of an image; `None` if they have to be read first. Only a shared image has members.
    fn members(&self, image: &Image, plan: &mut ImagePlan) -> Option<Members> {
        if image.visibility != Visibility::Shared {
            return Some(Members::new());
        }
        let members = self.snapshot().members.get(&image.id).cloned();
        if members.is_none() {
            plan.needs.members.insert(image.id);
        }
        members
    }

    /// The record of this image's copies, for the next pass.
    fn record(&self) -> Record {
        let mut record = self.request.record.clone();
        let entry = |mine: &Mine<'_>| {
            let (id, registered) = (mine.image.id, Some(mine.image.created_at.as_second()));
            let retired = mine.role == Role::Retired && mine.is_closed();
            let retired = retired && (mine.was_retired || mine.image.status != ImageStatus::Active);
            mine.digest.map(|sha512| PublishedImage { id, registered, sha512, retired })
        };
        record.images = self.ours.iter().filter_map(entry).collect();
        record.images.extend(self.unseen().cloned());
        record.images.sort_by_key(|entry| entry.id);
        if let Some(registration) = &mut record.registration {
            let found = self.ours.iter().any(|mine| Some(mine.image.id) == registration.id);
            let gone = registration.seen && !found && self.request.wanted.is_some();
            registration.seen |= found;
            if gone {
                record.registration = None;
            }
        }
        let metadata = self.seen_metadata(&record).or_else(|| self.memory());
        if metadata.is_some() && metadata != record.metadata {
            (record.metadata, record.seen) = (metadata, Some(self.now));
        }
        record
    }

    /// The site's metadata of the image in circulation. Its members are those that were read last.
    fn seen_metadata(&self, record: &Record) -> Option<Metadata> {
        let current = self.ours.iter().find(|mine| mine.role == Role::Current && mine.digest.is_some())?;
        let read = self.snapshot().members.get(&current.image.id).cloned();
        let kept = || record.metadata.as_ref().map(|metadata| metadata.members.clone()).unwrap_or_default();
        Some(Metadata::of(current.image, read.unwrap_or_else(kept)))
    }

    /// Entries of the record that stay although their images were not recognised: those of retired images, unless hidden
    /// images were listed; those that cannot be read; and the one that another operator claims now.
    fn unseen(&self) -> impl Iterator<Item = &PublishedImage<Uuid>> {
        let snapshot = self.snapshot();
        let unread = |id: Uuid| snapshot.unreadable.iter().any(|image| image.id == Some(id));
        let found = |id: Uuid| snapshot.images.iter().any(|image| image.id == id);
        let rival = self.rival.map(|image| image.id);
        let kept = move |entry: &&PublishedImage<Uuid>| {
            let unlisted = entry.retired && !snapshot.complete && !found(entry.id);
            unlisted || unread(entry.id) || Some(entry.id) == rival
        };
        self.request.record.images.iter().filter(kept)
    }

    fn count_retired(&self) -> usize {
        let seen = self.ours.iter().filter(|mine| mine.role == Role::Retired).count();
        seen + self.unseen().filter(|entry| entry.retired).count()
    }
}

fn claimed(image: &Image) -> String {
    format!("image {} belongs to the operator {:?}", shown(image), properties::property(image, OPERATOR))
}

/// Whether an image has a status that is of a newer Glance.
fn is_strange(mine: &Mine<'_>) -> bool {
    matches!(mine.image.status, ImageStatus::Unknown(_))
}
