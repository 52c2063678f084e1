//! Calls that only read.

use super::authorise::Right;
use super::world::{Dialect, Refusal, User, World};

impl World {
    pub(super) fn image_info(&self, user: &User, id: i64) -> Result<String, Refusal> {
        let image = u32::try_from(id).ok().and_then(|id| self.images.get(&id));
        let image = image.ok_or_else(|| Refusal::missing("image", id))?;
        // A lock does not keep anybody from looking.
        let open = super::Image { lock: None, ..image.clone() };
        self.authorise(user, &open, Right::Use)?;
        Ok(self.image_document(image))
    }

    /// Filter and range as told in "one.imagepool.info"; newest first.
    pub(super) fn image_pool(&self, user: &User, filter: i64, start: i64, end: i64) -> Result<String, Refusal> {
        if filter < -4 {
            return Err(Refusal::new(4096, "Incorrect filter_flag"));
        }
        let visible = |image: &&super::Image| {
            let open = super::Image { lock: None, ..(*image).clone() };
            let usable = self.authorise(user, &open, Right::Use).is_ok();
            match filter {
                -4 => image.gid == user.gid && (usable || self.dialect == Dialect::V5_12),
                -3 => image.uid == user.id,
                -2 => usable,
                -1 => image.uid == user.id || (user.groups.contains(&image.gid) && usable),
                uid => i64::from(image.uid) == uid && usable,
            }
        };
        let images: Vec<_> = self.images.values().rev().filter(visible).collect();
        let within = |id: u32| (start < 0 || i64::from(id) >= start) && (end < 0 || start < 0 || i64::from(id) <= end);
        let chosen: Vec<_> = if end <= -2 {
            let (skip, take) = (usize::try_from(start).unwrap_or(0), usize::try_from(-end).unwrap_or(0));
            images.into_iter().skip(skip).take(take).collect()
        } else {
            images.into_iter().filter(|image| within(image.id)).collect()
        };
        let documents: Vec<_> = chosen.iter().map(|image| self.image_document(image)).collect();
        Ok(format!("<IMAGE_POOL>{}</IMAGE_POOL>", documents.concat()))
    }

    pub(super) fn user_info(&self, user: &User, id: i64) -> Result<String, Refusal> {
        let id = if id == -1 { i64::from(user.id) } else { id };
        let found = u32::try_from(id).ok().and_then(|id| self.users.get(&id));
        let found = found.ok_or_else(|| Refusal::missing("user", id))?;
        if !self.may_on_user(user, found.id, Right::Use) {
            let text = format!("User [{}] : Not authorized to perform USE USER [{id}].", user.id);
            return Err(Refusal::new(512, text));
        }
        Ok(self.user_document(found))
    }

    pub(super) fn user_pool(&self, user: &User) -> String {
        let users = self.users.values().rev().filter(|other| self.may_on_user(user, other.id, Right::Use));
        // Quotas stand between the users, as siblings.
        let each = users.map(|user| format!("{}<QUOTAS><ID>{}</ID></QUOTAS>", self.user_document(user), user.id));
        format!(
            "<USER_POOL>{}<DEFAULT_USER_QUOTAS></DEFAULT_USER_QUOTAS></USER_POOL>",
            each.collect::<Vec<_>>().concat()
        )
    }

    pub(super) fn group_pool(&self, user: &User) -> String {
        let groups = self.groups.values().rev().filter(|group| self.may_use_group(user, group.id));
        let each = groups.map(|group| {
            format!("{}<QUOTAS><ID>{}</ID></QUOTAS>", self.group_document(group.id, &group.name), group.id)
        });
        format!(
            "<GROUP_POOL>{}<DEFAULT_GROUP_QUOTAS></DEFAULT_GROUP_QUOTAS></GROUP_POOL>",
            each.collect::<Vec<_>>().concat()
        )
    }

    pub(super) fn datastore_pool(&self) -> String {
        let each: Vec<_> = self.datastores.values().rev().map(|datastore| self.datastore_document(datastore)).collect();
        format!("<DATASTORE_POOL>{}</DATASTORE_POOL>", each.concat())
    }
}
