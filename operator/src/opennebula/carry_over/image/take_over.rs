//! The wanted version is in the cloud and gets the name.

use super::{Situation, Wish};
use crate::cloud::{Reason, Wanted};
use crate::opennebula::carry_over::Verdict;
use crate::opennebula::carry_over::attributes::{self, Role};
use crate::opennebula::carry_over::image_plan::ImagePlan;
use crate::opennebula::carry_over::names::is_retired_name;
use crate::opennebula::carry_over::recognise::Mine;
use crate::opennebula::carry_over::{Metadata, Reference, Step};
use crate::opennebula::document::ImageState;

impl Situation<'_> {
    /// Everything is prepared under the other name. Then the old image is renamed and the new one gets the name, with
    /// no other call between these two.
    pub(super) fn take_over(&self, wanted: &Wanted, new: &Mine<'_>, plan: &mut ImagePlan) {
        let identifier = &self.request.identifier;
        let old = self.old(Some(new));
        let wish = self.wish_for(new, old, Some(wanted));
        let blocked = old.and_then(|old| Self::blocked(old)).or_else(|| Self::blocked(new));
        let blocked = blocked.map(|(reason, message)| Verdict::waiting(reason, message));
        if let Some(verdict) = blocked.or_else(|| self.conflict(identifier.as_str(), &wish.owner)) {
            plan.verdict = verdict;
            return;
        }
        let leaving: Vec<_> = self.others(new).filter(|mine| mine.is_named(identifier)).collect();
        let retiring: Vec<_> = self.others(new).filter(|mine| mine.role != Role::Retired).collect();
        for old in &retiring {
            plan.steps.extend(self.remember(old));
        }
        if !Self::prepare(new, &wish, plan) {
            return;
        }
        let rename = |mine: &Mine<'_>, name: String| Step::Rename { id: mine.image.id, name };
        plan.steps.extend(leaving.iter().map(|mine| rename(mine, self.retired_name(mine))));
        if !new.is_named(identifier) {
            plan.steps.push(rename(new, identifier.as_str().to_owned()));
        }
        self.describe(wanted, new.image, wish.labels.as_deref(), plan);
        plan.retired += retiring.len();
        plan.afterwards.extend(retiring.iter().map(|old| self.retire_renamed(old)));
        plan.verdict = Verdict::Published { id: new.image.id };
        plan.record.clear_failures();
    }

    /// Gives the new image the site's metadata of the old one. Returns `false` if that cannot be done now.
    fn prepare(new: &Mine<'_>, wish: &Wish, plan: &mut ImagePlan) -> bool {
        let image = new.image;
        match (wish.enabled, image.state) {
            (true, ImageState::Disabled) => plan.steps.push(Step::Enable { id: image.id }),
            (false, ImageState::Ready) => plan.steps.push(Step::Disable { id: image.id }),
            (false, ImageState::Used | ImageState::Clone | ImageState::UsedPersistent) => {
                plan.steps.clear();
                let message = format!("image {} must be disabled as the old one is, but is in use", image.id);
                plan.verdict = Verdict::waiting(Reason::Importing, message);
                return false;
            }
            (true | false, _) => {}
        }
        if image.permissions != wish.permissions {
            plan.steps.push(Step::Chmod { id: image.id, from: image.permissions, to: wish.permissions });
        }
        plan.steps.extend(Step::chown(image, &wish.owner, &wish.group));
        true
    }

    /// Writes the site's metadata to the attributes of an image in circulation. An image with a retired name already
    /// has it, and its current metadata may no longer be the site's.
    fn remember(&self, old: &Mine<'_>) -> Option<Step> {
        if is_retired_name(&self.request.identifier, &old.image.name) {
            return None;
        }
        let template = attributes::remembered(&self.metadata(old)).changes(&old.image.attributes);
        (!template.is_empty()).then_some(Step::Update { id: old.image.id, template, why: "remember" })
    }

    /// The site's metadata of an image. An image that was registered in place has it only after the last step. An image
    /// with a retired name may have lost it, even if the call that marks it was refused.
    pub(super) fn metadata(&self, mine: &Mine<'_>) -> Metadata {
        let own = || Metadata::of(mine.image);
        if is_retired_name(&self.request.identifier, &mine.image.name) {
            let written = attributes::read_remembered(mine.image).filter(|_| mine.trusted);
            return written.or_else(|| self.request.record.metadata.clone()).unwrap_or_else(own);
        }
        if mine.role == Role::Registering { self.memory().unwrap_or_else(own) } else { own() }
    }

    /// The metadata that the new image should get: that of the image in circulation, or else the remembered metadata,
    /// or else the settings for a first registration. It is never the current metadata of a retired image.
    pub(super) fn wish_for(&self, new: &Mine<'_>, old: Option<&Mine<'_>>, wanted: Option<&Wanted>) -> Wish {
        let named = old.filter(|old| old.is_named(&self.request.identifier));
        let metadata = match (named, new.role) {
            (Some(old), _) => Some(self.metadata(old)),
            // The operator's image was renamed by somebody. Only its name is wrong.
            (None, Role::Current) => Some(Metadata::of(new.image)),
            (None, Role::Staged | Role::Registering | Role::Retired) => {
                old.map(|old| self.metadata(old)).or_else(|| self.memory())
            }
        };
        metadata.map_or_else(|| self.initial(wanted), |metadata| Wish::from(&metadata))
    }

    /// The metadata that the next registration will get, as far as it is known now.
    pub(super) fn wish(&self, wanted: &Wanted) -> Wish {
        let metadata = self.old(None).map(|old| self.metadata(old)).or_else(|| self.memory());
        metadata.map_or_else(|| self.initial(Some(wanted)), |metadata| Wish::from(&metadata))
    }

    fn initial(&self, wanted: Option<&Wanted>) -> Wish {
        let vo = wanted.and_then(|wanted| wanted.event.vo.as_ref());
        let group = vo.and_then(|vo| self.settings.vo_groups.get(vo)).or(self.settings.initial_group.as_ref());
        Wish {
            owner: Reference::Id(self.cloud.user.id),
            group: group.cloned().unwrap_or(Reference::Id(self.cloud.user.gid)),
            permissions: self.settings.initial_permissions,
            enabled: true,
            labels: None,
        }
    }

    /// The metadata that was remembered when the image was last in circulation: from the retired images, unless the
    /// record is newer. Values on an image that a tenant may still change are used only if there is nothing better.
    pub(super) fn memory(&self) -> Option<Metadata> {
        let retired = self.ours.iter().filter(|mine| mine.role == Role::Retired);
        let remembered = |mine: &Mine<'_>| {
            let metadata = attributes::read_remembered(mine.image)?;
            Some((mine.trusted, attributes::retired_since(mine.image)?, metadata))
        };
        let newest = retired.filter_map(remembered).max_by_key(|(trusted, since, _)| (*trusted, *since));
        let record = self.request.record.metadata.clone();
        match (newest, record) {
            (Some((true, since, metadata)), record) => {
                let newer = self.request.record.seen.is_some_and(|seen| seen > since);
                record.filter(|_| newer).or(Some(metadata))
            }
            (Some((false, _, _)), Some(record)) => Some(record),
            (Some((false, _, metadata)), None) => Some(metadata),
            (None, record) => record,
        }
    }
}

impl From<&Metadata> for Wish {
    fn from(metadata: &Metadata) -> Self {
        Self {
            owner: Reference::Id(metadata.uid),
            group: Reference::Id(metadata.gid),
            permissions: metadata.permissions,
            enabled: metadata.enabled,
            labels: metadata.labels.clone(),
        }
    }
}
