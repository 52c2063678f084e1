//! The calls of a pass on the model.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::world::{Model, PROJECT, cut, refusal};
use crate::openstack::carry_over::{Account, Glance, Progress, Step};
use crate::openstack::error::OpenStackError;
use crate::openstack::glance::{ImageFilter, Listing, Task};
use crate::openstack::image::{Image, ImageStatus, Member, MemberStatus, Visibility};

impl Glance for Model {
    async fn account(&self) -> Result<Account, OpenStackError> {
        let world = self.world();
        if world.dead { Err(cut()) } else { Ok(world.account.clone()) }
    }

    async fn list(&self, filter: &ImageFilter) -> Result<Listing, OpenStackError> {
        let mut world = self.world();
        world.calls.push(format!("list{}", if filter.os_hidden == Some(true) { " hidden" } else { "" }));
        let fits = |image: &&Image| {
            filter.owner.as_ref() == Some(&image.owner)
                && Some(image.os_hidden) == filter.os_hidden
                && filter.tags.is_subset(&image.tags)
        };
        let images = world.images.values().filter(fits).cloned().collect();
        Ok(Listing { images, unreadable: Vec::new(), calls: 1 })
    }

    async fn image(&self, id: Uuid) -> Result<Image, OpenStackError> {
        let mut world = self.world();
        world.calls.push("show".to_owned());
        let image =
            world.images.get(&id).filter(|image| image.owner == PROJECT || image.visibility != Visibility::Private);
        image.cloned().ok_or_else(|| refusal(404, "No image found"))
    }

    async fn members(&self, id: Uuid) -> Result<Vec<Member>, OpenStackError> {
        let mut world = self.world();
        world.calls.push("members".to_owned());
        let member =
            |(project, status): (&String, &MemberStatus)| Member { project: project.clone(), status: status.clone() };
        Ok(world.shared(id)?.iter().map(member).collect())
    }

    async fn tasks(&self, _: Uuid) -> Result<Vec<Task>, OpenStackError> {
        Ok(Vec::new())
    }

    fn uploads(&self) -> BTreeMap<Uuid, Progress> {
        self.world().uploads.clone()
    }

    fn forget_failure(&self, id: Uuid) {
        self.world().uploads.remove(&id);
    }

    async fn make(&self, step: &Step) -> Result<Option<Image>, OpenStackError> {
        let mut world = self.world();
        if let Step::Upload { id, path, size } = step {
            if !world.dead {
                world.uploads.insert(*id, Progress::Running { sent: 0, size: *size });
                world.sending.insert(*id, path.clone());
                if let Some(image) = world.images.get_mut(id) {
                    image.status = ImageStatus::Saving;
                }
            }
            return Ok(None);
        }
        world.write(step.to_string(), |world| world.make(step))
    }
}
