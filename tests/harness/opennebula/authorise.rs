//! Who may do what.

use super::acl::Asked;
use super::world::{Dialect, Image, ONEADMIN, Refusal, User, World};

/// What a call needs on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    Use,
    Manage,
    Admin,
    Create,
}

impl Right {
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Use, Self::Manage, Self::Admin, Self::Create].into_iter().find(|right| right.text() == text)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Use => "USE",
            Self::Manage => "MANAGE",
            Self::Admin => "ADMIN",
            Self::Create => "CREATE",
        }
    }

    fn bit(self) -> u16 {
        match self {
            Self::Use => 4,
            Self::Manage => 2,
            Self::Admin => 1,
            Self::Create => 0,
        }
    }
}

impl User {
    /// `oneadmin`, and whoever is in its group.
    pub(super) fn is_admin(&self) -> bool {
        self.id == ONEADMIN || self.groups.contains(&ONEADMIN)
    }
}

impl World {
    /// Who a session is of.
    pub(super) fn authenticate(&self, session: &str) -> Result<User, Refusal> {
        let refused = || Refusal::new(256, "User couldn't be authenticated, aborting call.");
        let (name, password) = session.split_once(':').ok_or_else(refused)?;
        let user = self.users.values().find(|user| user.name == name && user.password == password);
        user.cloned().ok_or_else(refused)
    }

    /// Whether a user may do something with an image.
    pub(super) fn authorise(&self, user: &User, image: &Image, right: Right) -> Result<(), Refusal> {
        if let Some(lock) = image.lock
            && self.is_held(lock.level, right)
        {
            let text = if user.is_admin() {
                format!("User [{}] : IMAGE is locked. [{}].", user.id, image.id)
            } else {
                not_authorised(user, right, image)
            };
            return Err(Refusal::new(512, text));
        }
        let bit = right.bit();
        let bits = image.permissions;
        let asked = Asked { kind: "IMAGE", id: Some(image.id), gid: image.gid };
        let allowed = user.is_admin()
            || self.is_granted(user, asked, right)
            || (image.uid == user.id && bits >> 6 & bit != 0)
            || (user.groups.contains(&image.gid) && bits >> 3 & bit != 0)
            || bits & bit != 0;
        if allowed { Ok(()) } else { Err(Refusal::new(512, not_authorised(user, right, image))) }
    }

    fn is_held(&self, level: u32, right: Right) -> bool {
        match level {
            1 => true,
            2 => right >= Right::Manage,
            3 => right >= Right::Admin,
            4 => self.dialect == Dialect::V7_4 || right >= Right::Admin,
            _ => false,
        }
    }

    /// The image of a call that needs a right on it.
    pub(super) fn authorised(&self, user: &User, id: i64, right: Right) -> Result<Image, Refusal> {
        let image = u32::try_from(id).ok().and_then(|id| self.images.get(&id));
        let image = image.ok_or_else(|| Refusal::missing("image", id))?;
        self.authorise(user, image, right)?;
        Ok(image.clone())
    }
}

fn not_authorised(user: &User, right: Right, image: &Image) -> String {
    format!("User [{}] : Not authorized to perform {} IMAGE [{}].", user.id, right.text(), image.id)
}
