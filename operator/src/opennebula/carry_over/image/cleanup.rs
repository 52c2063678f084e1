//! Retires old images, and all images of what is no longer wanted; deletes them after their retention time.

use super::{Situation, claimed, is_upload};
use crate::cloud::Reason;
use crate::opennebula::carry_over::Verdict;
use crate::opennebula::carry_over::attributes::{self, Role};
use crate::opennebula::carry_over::image_plan::ImagePlan;
use crate::opennebula::carry_over::names::is_retired_name;
use crate::opennebula::carry_over::recognise::Mine;
use crate::opennebula::carry_over::{End, Retirement, Step};
use crate::opennebula::document::ImageState;
use crate::opennebula::template::Template;

/// Whether an image keeps its name until its retirement renames it, or was renamed before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Kept,
    GivenUp,
}

impl Situation<'_> {
    /// Takes an image out of circulation, or completes its retirement. `None` if nothing is to be done. If something
    /// prevents it, the plan reports it.
    pub(super) fn put_out(&self, mine: &Mine<'_>, plan: &mut ImagePlan) -> Option<Retirement> {
        let retired = mine.role == Role::Retired;
        let retirement = if retired { self.finish(mine) } else { self.retire(mine) };
        let blocked = Self::blocked(mine).filter(|_| !retired || mine.image.lock.is_some());
        match blocked {
            Some(_) if retirement.steps.is_empty() => None,
            Some((reason, message)) => {
                plan.unfinished.push((reason, message));
                None
            }
            None => {
                plan.retired += usize::from(!retired);
                (!retirement.steps.is_empty()).then_some(retirement)
            }
        }
    }

    /// A complete retirement: store the metadata and mark the image; then disable it, rename it, close it, and change
    /// its owner.
    pub(super) fn retire(&self, old: &Mine<'_>) -> Retirement {
        let mut template = self.marks(old);
        if !is_retired_name(&self.request.identifier, &old.image.name) {
            template.extend(attributes::remembered(&self.metadata(old)));
        }
        self.retirement(old, &template, "remember and retire", Name::Kept)
    }

    /// The rest of a retirement whose image was already renamed and has the metadata.
    pub(super) fn retire_renamed(&self, old: &Mine<'_>) -> Retirement {
        self.retirement(old, &self.marks(old), "retire", Name::GivenUp)
    }

    /// Completes a retirement. While a tenant can change the image, its attributes are written again from the record.
    fn finish(&self, mine: &Mine<'_>) -> Retirement {
        let mut template = Template::new();
        if !mine.trusted {
            template = attributes::identity(self.request, mine.digest, mine.image);
        }
        if let (false, Some(metadata)) = (mine.trusted, &self.request.record.metadata) {
            template.extend(attributes::remembered(metadata));
            if attributes::retired_since(mine.image).is_none_or(|since| since > self.now) {
                template.extend(attributes::retirement(self.settings, self.now));
            }
        }
        self.retirement(mine, &template, "remember", Name::Kept)
    }

    fn marks(&self, old: &Mine<'_>) -> Template {
        let mut template = attributes::retirement(self.settings, self.now);
        template.extend(attributes::identity(self.request, old.digest, old.image));
        template
    }

    /// The steps of a retirement. The change of the owner is last, because the operator may have no rights on the image
    /// afterwards.
    fn retirement(&self, old: &Mine<'_>, template: &Template, why: &'static str, name: Name) -> Retirement {
        let (image, id, end) = (old.image, old.image.id, self.end());
        let template = template.changes(&image.attributes);
        let update = (!template.is_empty()).then_some(Step::Update { id, template, why });
        // An image in use cannot be disabled. This is tried again in each pass.
        let disable = (image.state == ImageState::Ready).then_some(Step::Disable { id });
        let named = name == Name::Kept && !end.is_nameless(image);
        let rename = named.then(|| Step::Rename { id, name: self.retired_name(old) });
        let steps = update.into_iter().chain(disable).chain(rename).chain(end.close(image)).collect();
        Retirement { id, steps, end }
    }

    /// The state of a retired image at this target.
    pub(super) fn end(&self) -> End {
        End {
            identifier: self.request.identifier.clone(),
            owner: self.settings.retired.owner.clone(),
            group: self.settings.retired.group.clone(),
            administers: self.cloud.user.is_administrator(),
        }
    }

    /// Plans what is left to do for images that are not in circulation. `serving` is not changed. `current` is the
    /// image that has the name, if any.
    pub(super) fn clean_up(&self, serving: Option<u32>, current: Option<u32>, plan: &mut ImagePlan) {
        let new_name = |step: &Step| if let Step::Rename { id, .. } = step { Some(*id) } else { None };
        let deletion = |step: &Step| if let Step::Delete { id, .. } = step { Some(*id) } else { None };
        let renamed: Vec<u32> = plan.steps.iter().filter_map(new_name).collect();
        let deleted: Vec<u32> = plan.steps.iter().filter_map(deletion).collect();
        let done: Vec<u32> = plan.first.iter().chain(&plan.afterwards).map(|retirement| retirement.id).collect();
        for mine in self.ours.iter().filter(|mine| Some(mine.image.id) != serving && !done.contains(&mine.image.id)) {
            let (id, unlocked) = (mine.image.id, mine.image.lock.is_none());
            match mine.role {
                // The site may have given an image that the original handler retired to somebody. It is not changed.
                Role::Retired if mine.legacy => {}
                Role::Retired if renamed.contains(&id) => {}
                Role::Retired if unlocked && self.is_expired(mine, current) => {
                    plan.cleanup.push(Step::Delete { id, force: false, why: "retired long enough" });
                }
                Role::Retired => {
                    let retirement = self.put_out(mine, plan);
                    plan.overdue.extend(retirement);
                }
                Role::Staged | Role::Registering if deleted.contains(&id) => {}
                Role::Staged | Role::Registering if self.is_stale(mine) => {
                    plan.cleanup.extend(unlocked.then(|| Self::delete_upload(mine)));
                }
                // An old version that is used by a VM and has the role of an upload. Its owner can write that role.
                Role::Staged | Role::Registering if self.is_old(mine) => {
                    let retirement = self.put_out(mine, plan);
                    plan.overdue.extend(retirement);
                }
                Role::Current | Role::Staged | Role::Registering => {}
            }
        }
    }

    /// Whether a retired image can be deleted: its time is over, no VM uses it, and a usable and enabled successor is
    /// in circulation.
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

    /// Whether it is an unused upload of a version that is no longer wanted.
    pub(super) fn is_stale(&self, mine: &Mine<'_>) -> bool {
        self.is_unwanted(mine) && !mine.is_live(&self.request.identifier) && !is_in_use(mine)
    }

    /// The same, but after it was copied, when VMs may use it.
    fn is_old(&self, mine: &Mine<'_>) -> bool {
        self.is_unwanted(mine) && !mine.is_live(&self.request.identifier) && mine.image.is_usable()
    }

    fn is_unwanted(&self, mine: &Mine<'_>) -> bool {
        mine.digest != self.request.wanted.as_ref().map(|wanted| wanted.sha512)
    }

    /// Deletes an image that was registered by the operator and never had the name.
    pub(super) fn delete_upload(mine: &Mine<'_>) -> Step {
        let why = if is_upload(mine) { "registration given up" } else { "no longer wanted" };
        Step::Delete { id: mine.image.id, force: mine.image.state.is_arriving(), why }
    }

    /// Retires every image that was ever in circulation, and deletes uploads. An image that ever had the name is not
    /// deleted.
    pub(super) fn withdraw(&self, plan: &mut ImagePlan) {
        plan.verdict = Verdict::Retired;
        plan.record.clear_failures();
        for mine in self.ours.iter().filter(|mine| !mine.legacy) {
            if self.is_only_an_upload(mine) {
                if mine.image.lock.is_none() {
                    plan.steps.push(Self::delete_upload(mine));
                }
            } else if mine.role == Role::Retired || mine.image.is_usable() || mine.is_live(&self.request.identifier) {
                let retirement = self.put_out(mine, plan);
                plan.overdue.extend(retirement);
            }
        }
        if let Some(image) = self.lost() {
            let message = format!("{}, though it was published from here; it is not touched", claimed(image));
            plan.verdict = Verdict::waiting(Reason::NameConflict, message);
        }
        if let Some(message) = self.hidden() {
            plan.verdict = Verdict::waiting(Reason::NotAuthorized, message);
        }
        if let Some(until) = plan.record.may_appear_until(self.now) {
            let message = "a registration was sent and not answered: its image may still appear".to_owned();
            plan.verdict = Verdict::Waiting { reason: Reason::Importing, message, until: Some(until) };
        }
    }

    /// Whether it is an unused upload that never had the name. An image that a VM uses is retired like any other,
    /// because only its role shows that it was an upload, and its owner can write the role.
    fn is_only_an_upload(&self, mine: &Mine<'_>) -> bool {
        matches!(mine.role, Role::Staged | Role::Registering) && self.is_stale(mine)
    }
}

fn is_in_use(mine: &Mine<'_>) -> bool {
    matches!(
        mine.image.state,
        ImageState::Used
            | ImageState::Clone
            | ImageState::UsedPersistent
            | ImageState::LockedUsed
            | ImageState::LockedUsedPersistent
    )
}
