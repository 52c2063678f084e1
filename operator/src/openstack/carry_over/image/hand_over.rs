//! The wanted version is in the cloud with verified data, and comes into circulation. Pure.
//!
//! The new image is hidden and private until the last call, which completes it. Only then is the old one retired. So there
//! is a usable image at every moment; a cut leaves two, and the next pass goes on.

use std::collections::BTreeSet;

use super::Situation;
use crate::cloud::{Reason, Wanted};
use crate::openstack::carry_over::changes::Changes;
use crate::openstack::carry_over::image_plan::{ImagePlan, Retirement};
use crate::openstack::carry_over::metadata::{Members, Metadata};
use crate::openstack::carry_over::properties::{self, Role, TAG};
use crate::openstack::carry_over::recognise::Mine;
use crate::openstack::carry_over::{Step, Verdict};
use crate::openstack::image::{Image, ImageStatus, Visibility};

impl Situation<'_> {
    pub(super) fn take_over(&self, wanted: &Wanted, new: &Mine<'_>, plan: &mut ImagePlan) {
        let image = new.image;
        let wish = self.wish(Some(new), wanted, plan);
        let members = self.members(image, plan);
        let protected = wish.as_ref().is_some_and(|wish| wish.protected);
        let retirements: Vec<Option<Retirement>> =
            self.others(image.id).map(|old| self.retirement(old, protected, plan)).collect();
        let retirements: Option<Vec<Retirement>> = retirements.into_iter().collect();
        let (Some(wish), Some(members), Some(retirements)) = (wish, members, retirements) else {
            plan.verdict = Verdict::waiting(Reason::Importing, "the members of its images are not known yet");
            return;
        };
        if new.role == Role::Retired && wish.visibility == Visibility::Shared && image.visibility != Visibility::Shared
        {
            Self::uncover_members(image, plan);
            return;
        }
        match (wish.active, &image.status) {
            (true, ImageStatus::Deactivated) => plan.steps.push(Step::Reactivate { id: image.id }),
            (false, ImageStatus::Active) => plan.steps.push(Step::Deactivate { id: image.id }),
            (true | false, _) => {}
        }
        self.share(image, &members, &wish, plan);
        plan.steps.extend(self.complete(wanted, new, &wish));
        plan.retired += retirements.len();
        plan.afterwards.extend(retirements);
        plan.verdict = Verdict::Published { id: image.id };
        plan.record.clear_failures();
    }

    /// A retired image can have members that could not be removed, and that count again once it is shared. Those of a
    /// private image cannot be read. So it is shared while it is hidden, and the next pass goes on.
    fn uncover_members(image: &Image, plan: &mut ImagePlan) {
        let changes = Changes::of(image).hidden(true).visibility(&Visibility::Shared);
        plan.steps.extend(changes.step("to see its members"));
        let message = format!("image {} comes into circulation again", image.id);
        plan.verdict = Verdict::waiting(Reason::Importing, message);
    }

    /// Gives an image its members while it is hidden. They can be given to a shared image only.
    fn share(&self, image: &Image, members: &Members, wish: &Metadata, plan: &mut ImagePlan) {
        let shared = wish.visibility == Visibility::Shared;
        let wished = if shared { &wish.members } else { &Members::new() };
        let id = image.id;
        let extra = members.keys().filter(|project| !wished.contains_key(*project));
        plan.steps.extend(extra.map(|project| Step::RemoveMember { id, project: project.clone() }));
        if shared && !wished.is_empty() {
            plan.steps.extend(Changes::of(image).hidden(true).visibility(&Visibility::Shared).step("for its members"));
        }
        let missing = wished.keys().filter(|project| !members.contains_key(*project));
        plan.steps.extend(missing.map(|project| Step::AddMember { id, project: project.clone() }));
        let accepted = wished.iter().filter(|(_, accepted)| **accepted).map(|(project, _)| project);
        for project in accepted.filter(|project| members.get(*project) != Some(&true)) {
            if self.snapshot().account.is_administrator {
                plan.steps.push(Step::AcceptMember { id, project: project.clone() });
            } else {
                plan.notes.push(format!(
                    "the project {project} had accepted the old image and must accept image {id}: only itself or an administrator can"
                ));
            }
        }
    }

    /// The last call: the site's metadata of the old image, and what the list says.
    fn complete(&self, wanted: &Wanted, new: &Mine<'_>, wish: &Metadata) -> Option<Step> {
        let image = new.image;
        let mut properties = self.settings.properties.clone();
        properties.extend(wish.properties.clone());
        let described = properties::described(&self.request.identifier, wanted, self.settings, Role::Current);
        properties.extend(described.clone());
        let mut removed: BTreeSet<String> = properties::stale(image, &described, self.settings).into_iter().collect();
        if new.role == Role::Retired {
            // It has what the site had set when it was last in circulation. A new image can have what Glance adds.
            removed.extend(properties::site_properties(image).into_keys());
        }
        removed.retain(|name| !properties.contains_key(name));
        let tags = wish.tags.iter().cloned().chain([TAG.to_owned()]).collect();
        let changes = Changes::of(image);
        let changes = match wish.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => changes.name(name),
            None => changes.name(self.request.identifier.as_str()),
        };
        let changes = changes.visibility(&wish.visibility).hidden(wish.hidden).protected(wish.protected);
        let changes = changes.minimum(wish.min_disk, wish.min_ram).tags(tags);
        changes.set(&properties).remove(removed).step("into circulation")
    }
}
