//! The wanted version is not in the cloud, or is being copied.

use super::{Situation, is_upload};
use crate::cloud::{Reason, Registration, Wanted};
use crate::opennebula::carry_over::Verdict;
use crate::opennebula::carry_over::attributes::{self, Role};
use crate::opennebula::carry_over::image_plan::ImagePlan;
use crate::opennebula::carry_over::names::staged_name;
use crate::opennebula::carry_over::recognise::Mine;
use crate::opennebula::carry_over::{Reference, Step, UpdateMode};
use crate::opennebula::document::{Image, ImageState};

impl Situation<'_> {
    /// The image is registered. The cloud is copying it, or the copy failed or takes too long.
    pub(super) fn wait_for(&self, upload: &Mine<'_>, plan: &mut ImagePlan) {
        let Image { id, state, registered, .. } = upload.image;
        let since = jiff::Timestamp::from_second(*registered).unwrap_or(self.now);
        let age = self.now.duration_since(since);
        let failure = match state {
            state if state.is_arriving() && age <= self.settings.patience => None,
            state if state.is_arriving() => Some(format!(
                "image {id} was still {state} after {} minutes; the cloud may have been restarted while it copied",
                age.as_mins()
            )),
            // READY without a SOURCE: somebody enabled an image whose copy had failed.
            ImageState::Error | ImageState::Ready | ImageState::Disabled => Some(explain(upload.image)),
            ImageState::Unknown(_)
            | ImageState::Used
            | ImageState::Clone
            | ImageState::UsedPersistent
            | ImageState::Init
            | ImageState::Locked
            | ImageState::LockedUsed
            | ImageState::LockedUsedPersistent
            | ImageState::Delete => None,
        };
        match failure {
            None => {
                let message = format!("the cloud is copying image {id} ({state})");
                plan.verdict = Verdict::waiting(Reason::Importing, message);
                plan.copying = state.is_arriving();
            }
            Some(message) => {
                plan.steps.push(Self::delete_upload(upload));
                plan.record.fail(message, self.now);
                plan.verdict = Self::failed(plan);
            }
        }
    }

    /// Registers the wanted version, unless something prevents it.
    pub(super) fn register(&self, wanted: &Wanted, plan: &mut ImagePlan) {
        if let Some(verdict) = self.obstacle(wanted, plan) {
            plan.verdict = verdict;
            return;
        }
        let Some(source) = &wanted.source else {
            plan.verdict = Verdict::waiting(Reason::Importing, "the image's bytes are not ready yet");
            return;
        };
        let identifier = &self.request.identifier;
        let (name, role) = match self.settings.mode {
            UpdateMode::Staged => (staged_name(identifier, &wanted.sha512), Role::Staged),
            UpdateMode::InPlace => (identifier.as_str().to_owned(), Role::Registering),
        };
        if self.settings.mode == UpdateMode::InPlace {
            plan.steps.clear(); // a name that is given up need not be restored
            self.free_the_name(plan);
        }
        let from = (self.request, wanted, source);
        let template = attributes::registration(from, (self.settings, &self.cloud.version), &name, role);
        plan.steps.push(Step::Allocate { name, template });
        plan.registers = Some(wanted.sha512);
        plan.record.registration = Some(Registration::new(wanted.sha512, self.now));
        plan.copying = true;
        plan.verdict = Verdict::waiting(Reason::Importing, "registering it; the cloud then copies it");
    }

    /// In place: first retires every image of this operator that has the name, or had it last.
    fn free_the_name(&self, plan: &mut ImagePlan) {
        let identifier = &self.request.identifier;
        for mine in &self.ours {
            if mine.is_live(identifier) || (mine.role == Role::Retired && mine.is_named(identifier)) {
                let retirement = self.put_out(mine, plan);
                plan.first.extend(retirement);
            }
        }
    }

    /// Renames the image in circulation back, if somebody renamed it and no other image has the name.
    pub(super) fn restore_name(&self, plan: &mut ImagePlan) {
        let identifier = &self.request.identifier;
        let Some(old) = self.old(None) else { return };
        let free = self.conflict(identifier.as_str(), &Reference::Id(old.image.uid)).is_none();
        if !old.is_named(identifier) && old.image.lock.is_none() && free {
            plan.steps.push(Step::Rename { id: old.image.id, name: identifier.as_str().to_owned() });
        }
    }

    /// The reason why the version cannot be registered now, if any.
    fn obstacle(&self, wanted: &Wanted, plan: &ImagePlan) -> Option<Verdict> {
        let (identifier, me) = (&self.request.identifier, Reference::Id(self.cloud.user.id));
        let target = self.wish(wanted);
        let staged = staged_name(identifier, &wanted.sha512);
        let names = match self.settings.mode {
            UpdateMode::Staged => [(identifier.as_str(), &target.owner), (staged.as_str(), &me)],
            UpdateMode::InPlace => [(identifier.as_str(), &target.owner), (identifier.as_str(), &me)],
        };
        let conflict = names.into_iter().find_map(|(name, owner)| self.conflict(name, owner));
        let leaving = self.ours.iter().find(|mine| self.is_in_the_way(mine, &staged)).map(|mine| {
            let message = format!("image {} ({}) is removed first", mine.image.id, mine.image.name);
            Verdict::waiting(Reason::Importing, message)
        });
        let blocked = self.old(None).and_then(|old| Self::blocked(old));
        let blocked = blocked.map(|(reason, message)| Verdict::waiting(reason, message));
        let refused = self.refused.as_ref().filter(|_| self.ours.is_empty());
        let refused = refused.map(|message| Verdict::waiting(Reason::AdoptionRefused, message));
        let pause = self.request.record.retry_at().filter(|until| *until > self.now).map(|_| Self::failed(plan));
        blocked.or(refused).or(conflict).or(pause).or(leaving)
    }

    /// Whether it is an abandoned upload that still has the needed name.
    fn is_in_the_way(&self, mine: &Mine<'_>, staged: &str) -> bool {
        let name = match self.settings.mode {
            UpdateMode::Staged => staged,
            UpdateMode::InPlace => self.request.identifier.as_str(),
        };
        is_upload(mine) && mine.image.name == name && mine.image.uid == self.cloud.user.id
    }

    /// The verdict of an image whose import failed and is tried again later.
    fn failed(plan: &ImagePlan) -> Verdict {
        let record = &plan.record;
        let message = record.failure.clone().unwrap_or_default();
        Verdict::Waiting { reason: Reason::ImportFailed, message, until: record.retry_at() }
    }
}

/// The cloud's message about a failed copy, with advice for the most common cause.
fn explain(image: &Image) -> String {
    let said = image.attribute("ERROR");
    let said = if said.is_empty() { "nothing was copied, and the cloud does not say why" } else { said };
    let hint = if said.contains("RESTRICTED_DIRS") {
        "; the directory must be in SAFE_DIRS of the datastore (a new datastore has /var/tmp alone)"
    } else {
        ""
    };
    format!("image {} ended in {}: {said}{hint}", image.id, image.state)
}
