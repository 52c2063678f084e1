//! What is asked for: images, and how the site wants them handled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;

use super::Record;
use crate::convert::Form;
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::document::{Image, Permissions};
use crate::opennebula::template::AttributeName;

/// One image of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which.
    pub identifier: ImageId,
    /// The version to publish, or none: take out of circulation what is there.
    pub wanted: Option<Wanted>,
    /// What was kept from earlier passes.
    pub record: Record,
    /// An image id that a person named as this image. It is taken only where [`Settings::adopt`] allows it.
    pub adopt: Option<u32>,
}

/// A version of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The digest in the list: what tells versions apart.
    pub sha512: Sha512Digest,
    /// What the list says, for the attributes.
    pub event: EventAttributes,
    /// Where the cloud reads the bytes; none while they are not ready, so that nothing can be registered yet.
    pub source: Option<Source>,
}

/// Verified bytes as the cloud can reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A path as the cloud's front-end sees it, or a URL (`PATH` takes both).
    pub location: String,
    /// How the bytes at `location` are laid out.
    pub format: Form,
    /// SHA-1 of the bytes at `location`, 40 lower-case hexadecimal digits; the cloud checks it while it copies.
    pub sha1: Option<String>,
}

/// What becomes `VMCATCHER_EVENT_*`, by the names of the original handler; `None` and empty are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventAttributes {
    /// `DC_TITLE`.
    pub title: Option<String>,
    /// `DC_DESCRIPTION`, and `DESCRIPTION` (which falls back to the title).
    pub description: Option<String>,
    /// `HV_HYPERVISOR`.
    pub hypervisor: Option<String>,
    /// `HV_SIZE`, bytes as the list says.
    pub size: Option<String>,
    /// `HV_URI`.
    pub uri: Option<String>,
    /// `HV_FORMAT`, as the list says.
    pub format: Option<String>,
    /// `HV_VERSION`.
    pub version: Option<String>,
    /// `SL_ARCH`.
    pub arch: Option<String>,
    /// `SL_COMMENTS`.
    pub comments: Option<String>,
    /// `SL_OS`.
    pub os: Option<String>,
    /// `SL_OSVERSION`.
    pub os_version: Option<String>,
    /// `IL_DC_IDENTIFIER`: the list's identifier.
    pub list_identifier: Option<String>,
    /// `FILENAME`: base name of the file.
    pub filename: Option<String>,
    /// `AD_MPURI`.
    pub mpuri: Option<String>,
    /// `VO` of the list; also chooses the group of a first registration.
    pub vo: Option<String>,
}

/// Whose image it is: written on each as `VMCATCHER_OPERATOR=<instance>/<namespace>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The name of this installation in its configuration.
    pub instance: String,
    /// The namespace of the target.
    pub namespace: String,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.instance, self.namespace)
    }
}

/// A user, group or datastore, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// By id.
    Id(u32),
    /// By name.
    Name(String),
}

impl Reference {
    /// Whether an object of this id and name is meant.
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

/// In which order an update goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateMode {
    /// The new image is complete under a name of its own before the old one is touched.
    #[default]
    Staged,
    /// The old image gives up its name first.
    InPlace,
}

/// What becomes of images that are out of circulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Their owner.
    pub owner: Reference,
    /// Their group.
    pub group: Reference,
    /// When they are deleted; none: never.
    pub delete_after: Option<SignedDuration>,
}

impl Default for Retired {
    fn default() -> Self {
        let oneadmin = || Reference::Name("oneadmin".to_owned());
        Self { owner: oneadmin(), group: oneadmin(), delete_after: None }
    }
}

/// Images that may be adopted when a person names one: by the administrator's word, not by that person's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoptable {
    /// By their ids.
    pub images: BTreeSet<u32>,
    /// All of these owners.
    pub owners: Vec<Reference>,
}

impl Adoptable {
    /// Whether an image is one of them.
    pub fn has(&self, image: &Image) -> bool {
        self.images.contains(&image.id) || self.owners.iter().any(|owner| owner.is(image.uid, &image.uname))
    }
}

/// How a target is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whose images these are.
    pub claim: Claim,
    /// In which order an update goes.
    pub mode: UpdateMode,
    /// Where images are registered.
    pub datastore: Reference,
    /// What becomes of old ones.
    pub retired: Retired,
    /// What may be adopted.
    pub adopt: Adoptable,
    /// The group of a first registration; none: the operator's user's.
    pub initial_group: Option<Reference>,
    /// The permissions of a first registration.
    pub initial_permissions: Permissions,
    /// The group of a first registration by the list's VO; goes before `initial_group`.
    pub vo_groups: BTreeMap<String, Reference>,
    /// More attributes for a registration, checked by [`Settings::check_template`].
    pub template: Vec<(AttributeName, String)>,
    /// How long a copy may take before it counts as failed.
    pub patience: SignedDuration,
}

/// An attribute that a site may not set, since its value is decided here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the attribute {name} is set by the operator itself and cannot be given in the template")]
pub struct SettingsError {
    name: String,
}

/// Attributes that are ours or that change what the image is.
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
    /// The defaults of a target: staged, private, retired images to oneadmin and never deleted, nothing to adopt, 3 h for
    /// a copy.
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

    /// Whether a site may give these attributes.
    pub fn check_template(template: &[(AttributeName, String)]) -> Result<(), SettingsError> {
        let ours =
            |name: &str| RESERVED.contains(&name) || name.starts_with("VMCATCHER_") || name.starts_with("CLOUDKEEPER_");
        match template.iter().find(|(name, _)| ours(name.as_str())) {
            Some((name, _)) => Err(SettingsError { name: name.to_string() }),
            None => Ok(()),
        }
    }
}
