//! The settings of the site for its images.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;

use crate::cloud::Claim;
use crate::opennebula::document::{Image, Permissions};
use crate::opennebula::template::AttributeName;

/// A reference to a user, group or datastore in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// By id.
    Id(u32),
    /// By name.
    Name(String),
}

impl Reference {
    /// Whether it refers to the object with this id and name.
    pub fn is(&self, id: u32, name: &str) -> bool {
        match self {
            Self::Id(number) => *number == id,
            Self::Name(text) => text == name,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(number) => write!(f, "{number}"),
            Self::Name(text) => f.write_str(text),
        }
    }
}

/// The order of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateMode {
    /// The new image is completed under another name before the old one is changed.
    #[default]
    Staged,
    /// The old image gives up its name first.
    InPlace,
}

/// Settings for images that are out of circulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Their owner.
    pub owner: Reference,
    /// Their group.
    pub group: Reference,
    /// The time after which they are deleted; `None` means never.
    pub delete_after: Option<SignedDuration>,
}

impl Default for Retired {
    fn default() -> Self {
        let oneadmin = || Reference::Name("oneadmin".to_owned());
        Self { owner: oneadmin(), group: oneadmin(), delete_after: None }
    }
}

/// Images that the administrator allows to be adopted when a user names one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoptable {
    /// Images by their ids.
    pub images: BTreeSet<u32>,
    /// All images of these owners.
    pub owners: Vec<Reference>,
}

impl Adoptable {
    /// Whether an image may be adopted.
    pub fn has(&self, image: &Image) -> bool {
        self.images.contains(&image.id) || self.owners.iter().any(|owner| owner.is(image.uid, &image.uname))
    }
}

/// The settings of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The claim that is written on its images.
    pub claim: Claim,
    /// The order of an update.
    pub mode: UpdateMode,
    /// The datastore in which images are registered.
    pub datastore: Reference,
    /// Settings for retired images.
    pub retired: Retired,
    /// The images that may be adopted.
    pub adopt: Adoptable,
    /// The group of a first registration; `None` means that of the operator's user.
    pub initial_group: Option<Reference>,
    /// The permissions of a first registration.
    pub initial_permissions: Permissions,
    /// The group of a first registration by the list's VO. It takes precedence over `initial_group`.
    pub vo_groups: BTreeMap<String, Reference>,
    /// More attributes for a registration, checked by [`Settings::check_template`].
    pub template: Vec<(AttributeName, String)>,
    /// How long a copy may take before it counts as failed.
    pub patience: SignedDuration,
}

/// An attribute that a site may not set, because the operator sets it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the attribute {name} is set by the operator itself and cannot be given in the template")]
pub struct SettingsError {
    name: String,
}

/// Attributes that the operator sets, or that change the type of the image.
const RESERVED: [&str; 16] = [
    "NAME",
    "PATH",
    "SOURCE",
    "TYPE",
    "SIZE",
    "FORMAT",
    "DRIVER",
    "FSTYPE",
    "FS",
    "MD5",
    "SHA1",
    "DESCRIPTION",
    "PERSISTENT",
    "ERROR",
    "LABELS",
    "FORCE_DELETE",
];

impl Settings {
    /// The defaults of a target: staged, private, retired images owned by oneadmin and never deleted, nothing to adopt,
    /// 3 h for a copy.
    pub fn new(claim: Claim, datastore: Reference) -> Self {
        Self {
            claim,
            mode: UpdateMode::Staged,
            datastore,
            retired: Retired::default(),
            adopt: Adoptable::default(),
            initial_group: None,
            initial_permissions: Permissions::PRIVATE,
            vo_groups: BTreeMap::new(),
            template: Vec::new(),
            patience: SignedDuration::from_hours(3),
        }
    }

    /// Checks that a site may set these attributes.
    pub fn check_template(template: &[(AttributeName, String)]) -> Result<(), SettingsError> {
        let ours =
            |name: &str| RESERVED.contains(&name) || name.starts_with("VMCATCHER_") || name.starts_with("CLOUDKEEPER_");
        match template.iter().find(|(name, _)| ours(name.as_str())) {
            Some((name, _)) => Err(SettingsError { name: name.to_string() }),
            None => Ok(()),
        }
    }
}
