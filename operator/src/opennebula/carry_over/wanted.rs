//! The input of carry-over: the wanted images, and the settings of the site.

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
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The version to publish; `None` means to take all images of it out of circulation.
    pub wanted: Option<Wanted>,
    /// The record of earlier passes.
    pub record: Record,
    /// An image id that a user named as this image. It is used only if [`Settings::adopt`] allows it.
    pub adopt: Option<u32>,
}

/// A version of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The digest in the list, which identifies the version.
    pub sha512: Sha512Digest,
    /// The properties in the list, for the attributes.
    pub event: EventAttributes,
    /// Where the cloud reads the bytes. `None` while they are not ready; then nothing can be registered.
    pub source: Option<Source>,
}

/// The location of verified bytes for the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A path on the cloud's front-end, or a URL (`PATH` accepts both).
    pub location: String,
    /// The format of the bytes at `location`.
    pub format: Form,
    /// SHA-1 of the bytes at `location`, 40 lower-case hexadecimal digits. The cloud checks it while it copies.
    pub sha1: Option<String>,
}

/// The values of `VMCATCHER_EVENT_*`, with the names of the original handler. `None` and empty values are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventAttributes {
    /// `DC_TITLE`.
    pub title: Option<String>,
    /// `DC_DESCRIPTION`, and `DESCRIPTION` (which falls back to the title).
    pub description: Option<String>,
    /// `HV_HYPERVISOR`.
    pub hypervisor: Option<String>,
    /// `HV_SIZE`, in bytes, as in the list.
    pub size: Option<String>,
    /// `HV_URI`.
    pub uri: Option<String>,
    /// `HV_FORMAT`, as in the list.
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

/// The operator's claim on an image, written as `VMCATCHER_OPERATOR=<instance>/<namespace>`.
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
