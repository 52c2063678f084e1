//! Takes images out of circulation. Pure.

use super::Situation;
use crate::openstack::carry_over::Step;
use crate::openstack::carry_over::changes::Changes;
use crate::openstack::carry_over::image_plan::{ImagePlan, Retirement};
use crate::openstack::carry_over::metadata::{Members, Metadata};
use crate::openstack::carry_over::names::retired_name;
use crate::openstack::carry_over::properties::{RETIRED_TAG, TAG};
use crate::openstack::carry_over::recognise::Mine;
use crate::openstack::carry_over::remembered;
use crate::openstack::image::{Image, ImageStatus, Visibility};

impl Situation<'_> {
    /// A complete retirement: one call that hides, renames and marks the image and remembers the site's metadata; then it
    /// loses its members, and is deactivated. An image with members is made private last, because members can only be
    /// removed from a shared image. `protected` says whether the new image is protected in its place. `None` if the
    /// members have to be read first.
    pub(super) fn retirement(&self, old: &Mine<'_>, protected: bool, plan: &mut ImagePlan) -> Option<Retirement> {
        let image = old.image;
        let members = self.members(image, plan)?;
        let metadata = Metadata::of(image, members.clone());
        let identifier = &self.request.identifier;
        let name = image.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(identifier.as_str());
        let tags = image.tags.iter().cloned().chain([TAG, RETIRED_TAG].map(str::to_owned)).collect();
        let changes = Changes::of(image).hidden(true).name(&retired_name(name, self.now)).tags(tags);
        let changes = changes.set(&remembered::retirement(identifier, self.settings, &metadata, self.now));
        let changes = if protected { changes.protected(false) } else { changes };
        Some(Retirement { id: image.id, steps: close(image, &members, changes, "remember and retire") })
    }

    /// The rest of a retirement; `None` if it is complete, or if the members have to be read first.
    pub(super) fn finish(&self, old: &Mine<'_>, plan: &mut ImagePlan) -> Option<Retirement> {
        if old.is_closed() && (old.was_retired || old.image.status != ImageStatus::Active) {
            return None;
        }
        let members = self.members(old.image, plan)?;
        let steps = close(old.image, &members, Changes::of(old.image).hidden(true), "retire");
        (!steps.is_empty()).then_some(Retirement { id: old.image.id, steps })
    }
}

fn close(image: &Image, members: &Members, changes: Changes<'_>, why: &'static str) -> Vec<Step> {
    let id = image.id;
    let private = |changes: Changes<'_>| changes.visibility(&Visibility::Private).step("close");
    let has_data = image.status == ImageStatus::Active;
    let mut steps = Vec::new();
    if members.is_empty() {
        steps.extend(changes.visibility(&Visibility::Private).step(why));
    } else {
        steps.extend(changes.step(why));
        steps.extend(members.keys().map(|project| Step::RemoveMember { id, project: project.clone() }));
        steps.extend(private(Changes::of(image)));
    }
    steps.extend(has_data.then_some(Step::Deactivate { id }));
    steps
}
