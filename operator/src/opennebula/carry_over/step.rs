//! One call that changes a cloud.

use std::fmt;

use super::Reference;
use crate::opennebula::document::{Image, Permissions};
use crate::opennebula::template::Template;

/// A change. Each can be repeated safely, except `Allocate`; the cloud keeps its name unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Register an image (`one.image.allocate`).
    Allocate {
        /// Its name, which is also in the template.
        name: String,
        /// All attributes.
        template: Template,
    },
    /// Add or replace attributes (`one.image.update`, append).
    Update {
        /// The image.
        id: u32,
        /// The attributes to write.
        template: Template,
        /// The purpose.
        why: &'static str,
    },
    /// Empty attributes of the operator that the list no longer has.
    Empty {
        /// The image.
        id: u32,
        /// Their names.
        names: Vec<&'static str>,
    },
    /// `one.image.chmod`.
    Chmod {
        /// The image.
        id: u32,
        /// The current permissions.
        from: Permissions,
        /// The wanted permissions.
        to: Permissions,
    },
    /// `one.image.chown`; `None` means no change.
    Chown {
        /// The image.
        id: u32,
        /// Its new owner.
        owner: Option<Reference>,
        /// Its new group.
        group: Option<Reference>,
    },
    /// `one.image.rename`.
    Rename {
        /// The image.
        id: u32,
        /// Its new name.
        name: String,
    },
    /// `one.image.enable` with true.
    Enable {
        /// The image.
        id: u32,
    },
    /// `one.image.enable` with false.
    Disable {
        /// The image.
        id: u32,
    },
    /// `one.image.delete`.
    Delete {
        /// The image.
        id: u32,
        /// Delete it even while it is being copied.
        force: bool,
        /// The purpose.
        why: &'static str,
    },
}

impl Step {
    /// The `Chown` to the wanted owner and group. An owner or group that is already right is left out, because old
    /// servers refuse it.
    pub(super) fn chown(image: &Image, owner: &Reference, group: &Reference) -> Option<Self> {
        let owner = (!owner.is(image.uid, &image.uname)).then(|| owner.clone());
        let group = (!group.is(image.gid, &image.gname)).then(|| group.clone());
        (owner.is_some() || group.is_some()).then_some(Self::Chown { id: image.id, owner, group })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocate { name, template } => {
                write!(f, "register {name} from {}", template.get("PATH").unwrap_or_default())
            }
            Self::Update { id, template, why } => {
                let names: Vec<_> = template.iter().map(|(name, _)| name).collect();
                write!(f, "update {id}: {why} ({})", names.join(", "))
            }
            Self::Empty { id, names } => write!(f, "empty {id}: {}", names.join(", ")),
            Self::Chmod { id, to, .. } => write!(f, "chmod {id} {to}"),
            Self::Chown { id, owner, group } => {
                let text =
                    |reference: &Option<Reference>| reference.as_ref().map_or("-".to_owned(), Reference::to_string);
                write!(f, "chown {id} {}:{}", text(owner), text(group))
            }
            Self::Rename { id, name } => write!(f, "rename {id} to {name}"),
            Self::Enable { id } => write!(f, "enable {id}"),
            Self::Disable { id } => write!(f, "disable {id}"),
            Self::Delete { id, force, why } => write!(f, "delete {id}{}: {why}", if *force { " by force" } else { "" }),
        }
    }
}
