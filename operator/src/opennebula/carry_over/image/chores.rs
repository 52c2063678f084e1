//! What no longer concerns who sees what: putting old images away, and deleting them when their time has come.

use super::{Situation, is_upload};
use crate::opennebula::carry_over::attributes::{self, Role};
use crate::opennebula::carry_over::names::is_retired_name;
use crate::opennebula::carry_over::plan::ImagePlan;
use crate::opennebula::carry_over::recognise::Mine;
use crate::opennebula::carry_over::{Step, UpdateMode};
use crate::opennebula::document::{ImageState, Permissions};

impl Situation<'_> {
    /// A whole retirement: remember, mark, take the name, close it, give it away, disable it.
    pub(super) fn retire(&self, old: &Mine<'_>, mode: UpdateMode) -> Vec<Step> {
        let image = old.image;
        let mut template = attributes::retirement(self.settings, self.now);
        if !is_retired_name(&self.request.identifier, &image.name) {
            template.extend(attributes::remembered(&self.metadata(old)));
        }
        let template = template.changes(&image.attributes);
        let mut steps = vec![Step::Update { id: image.id, template, why: "remember and retire" }];
        steps.extend(self.close(old, mode));
        steps
    }

    /// The rest of a retirement whose image already left its name and remembers.
    pub(super) fn put_away(&self, old: &Mine<'_>) -> Vec<Step> {
        let template = attributes::retirement(self.settings, self.now).changes(&old.image.attributes);
        let mut steps = vec![Step::Update { id: old.image.id, template, why: "retire" }];
        steps.extend(self.close_but_for_the_name(old));
        steps.extend(Self::disable(old));
        steps
    }

    /// Whatever of a retirement is not done: mode 700, the retired owner, a retired name, disabled where its state
    /// allows. In place the name goes last, as the original handler's contract has it.
    pub(super) fn close(&self, old: &Mine<'_>, mode: UpdateMode) -> Vec<Step> {
        let named = old.is_named(&self.request.identifier);
        let rename = named.then(|| Step::Rename { id: old.image.id, name: self.retired_name(old) });
        let mut steps = self.close_but_for_the_name(old);
        match mode {
            UpdateMode::Staged => steps.splice(0..0, rename).for_each(drop),
            UpdateMode::InPlace => {
                steps.reverse(); // chown, chmod
                steps.extend(rename);
            }
        }
        steps.extend(Self::disable(old));
        steps
    }

    fn close_but_for_the_name(&self, old: &Mine<'_>) -> Vec<Step> {
        let image = old.image;
        let mut steps = Vec::new();
        if image.permissions != Permissions::RETIRED {
            steps.push(Step::Chmod { id: image.id, permissions: Permissions::RETIRED });
        }
        steps.extend(Self::chown(old, &self.settings.retired.owner, &self.settings.retired.group));
        steps
    }

    /// An image in use cannot be disabled; it is tried again as long as it is retired.
    fn disable(old: &Mine<'_>) -> Option<Step> {
        (old.image.state == ImageState::Ready).then_some(Step::Disable { id: old.image.id })
    }

    /// What is left to do about images that are not in circulation. `serving` is left alone; `current` is the one that
    /// has the name, if there is one.
    pub(super) fn tidy(&self, serving: Option<u32>, current: Option<u32>, plan: &mut ImagePlan) {
        let idle = self.ours.iter().filter(|mine| Some(mine.image.id) != serving && mine.image.lock.is_none());
        let renamed: Vec<u32> = plan.steps.iter().filter_map(renames).collect();
        let deleted: Vec<u32> = plan.steps.iter().filter_map(deletes).collect();
        for mine in idle {
            let steps = match mine.role {
                // The site may have given a retired image of the original handler's time to somebody: left alone.
                Role::Retired if mine.legacy => Vec::new(),
                Role::Retired if renamed.contains(&mine.image.id) => Vec::new(),
                Role::Retired if self.is_expired(mine, current) => {
                    vec![Step::Delete { id: mine.image.id, force: false, why: "retired long enough" }]
                }
                Role::Retired => self.finish(mine),
                Role::Staged | Role::Registering if deleted.contains(&mine.image.id) => Vec::new(),
                Role::Staged | Role::Registering if self.is_stale(mine) => vec![Self::delete_upload(mine)],
                Role::Current | Role::Staged | Role::Registering => Vec::new(),
            };
            if !steps.is_empty() {
                plan.chores.push(steps);
            }
        }
    }

    /// What a retirement still lacks. While a tenant can change the image, what it remembers is taken from the record.
    fn finish(&self, mine: &Mine<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        if let (false, Some(metadata)) = (mine.trusted, &self.request.record.metadata) {
            let mut template = attributes::remembered(metadata);
            if attributes::retired_since(mine.image).is_none_or(|since| since > self.now) {
                template.extend(attributes::retirement(self.settings, self.now));
            }
            let template = template.changes(&mine.image.attributes);
            if !template.is_empty() {
                steps.push(Step::Update { id: mine.image.id, template, why: "remember" });
            }
        }
        steps.extend(self.close(mine, self.settings.mode));
        steps
    }

    /// Whether a retired image may go for good: its time is up, no VM has it, and a usable successor is in circulation
    /// and enabled.
    fn is_expired(&self, mine: &Mine<'_>, current: Option<u32>) -> bool {
        let Some(keep) = self.settings.retired.delete_after else { return false };
        let Some(since) = attributes::retired_since(mine.image) else { return false };
        let replaced = self.ours.iter().any(|other| {
            let enabled = matches!(other.image.state, ImageState::Ready | ImageState::Used);
            Some(other.image.id) == current && self.is_settled(other) && enabled && other.image.is_usable()
        });
        let unused = mine.image.running_vms == 0 && !mine.image.persistent;
        let idle = matches!(mine.image.state, ImageState::Ready | ImageState::Disabled | ImageState::Error);
        replaced && unused && idle && since.checked_add(keep).is_ok_and(|end| end <= self.now)
    }

    /// An upload of a version that is no longer wanted.
    pub(super) fn is_stale(&self, mine: &Mine<'_>) -> bool {
        let wanted = self.request.wanted.as_ref().map(|wanted| wanted.sha512);
        let in_use = matches!(mine.image.state, ImageState::Used | ImageState::Clone | ImageState::UsedPersistent);
        let waiting = matches!(mine.image.state, ImageState::LockedUsed | ImageState::LockedUsedPersistent);
        mine.digest != wanted && !mine.is_live(&self.request.identifier) && !in_use && !waiting
    }

    /// Deletes what was registered by us and never got the name.
    pub(super) fn delete_upload(mine: &Mine<'_>) -> Step {
        let why = if is_upload(mine) { "registration given up" } else { "no longer wanted" };
        Step::Delete { id: mine.image.id, force: mine.image.state.is_arriving(), why }
    }
}

fn renames(step: &Step) -> Option<u32> {
    if let Step::Rename { id, .. } = step { Some(*id) } else { None }
}

fn deletes(step: &Step) -> Option<u32> {
    if let Step::Delete { id, .. } = step { Some(*id) } else { None }
}
