//! The settings of the site for its images. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use uuid::Uuid;

use super::image::{Image, Visibility, is_field};
use crate::cloud::Claim;

/// What the name of a first registration is made from. Later versions keep the name of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameFrom {
    /// The title in the list, or the identifier if there is none.
    #[default]
    Title,
    /// The identifier.
    Identifier,
}

/// How the bytes come to Glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transfer {
    /// They are uploaded (`PUT /v2/images/{id}/file`). The location of a source is the path of a file.
    #[default]
    Upload,
    /// Glance downloads them (import method `web-download`). The location of a source is an address.
    Import,
}

/// Images that the administrator allows to be adopted when a user names one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoptable {
    /// Images by their ids.
    pub images: BTreeSet<Uuid>,
}

impl Adoptable {
    /// Whether an image may be adopted.
    pub fn has(&self, image: &Image) -> bool {
        self.images.contains(&image.id)
    }
}

/// The settings of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The claim that is written on its images.
    pub claim: Claim,
    /// The visibility of a first registration.
    pub visibility: Visibility,
    /// The members of a first registration, by the ids of their projects. They count only if it is shared.
    pub shared_with: BTreeSet<String>,
    /// The members of a first registration by the list's VO. An image of such a VO is shared, whatever `visibility` is.
    pub vo_projects: BTreeMap<String, BTreeSet<String>>,
    /// More properties for each new version, checked by [`Settings::check_properties`]. A property of the old version
    /// takes precedence.
    pub properties: BTreeMap<String, String>,
    /// The name of a first registration.
    pub name: NameFrom,
    /// The images that may be adopted.
    pub adopt: Adoptable,
    /// The time after which retired images are deleted; `None` means never.
    pub delete_after: Option<SignedDuration>,
    /// How the bytes come to Glance.
    pub transfer: Transfer,
    /// How long an import, or an upload of another process, may take before it counts as failed.
    pub patience: SignedDuration,
}

/// A property that a site may not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The operator sets it, or another program that published images did.
    #[error("the property {0} is set by the operator itself and cannot be given")]
    Ours(String),
    /// It is a field of an image, or Glance reserves it.
    #[error("the property {0} belongs to Glance and cannot be given")]
    Glances(String),
    /// Its name is empty or too long.
    #[error("expected the name of a property to have 1 to 255 characters, found {found} in {name:?}")]
    Length {
        /// The start of the name.
        name: String,
        /// The number of characters.
        found: usize,
    },
    /// Its value is too long.
    #[error("expected the value of the property {name} to have at most {LONGEST_VALUE} bytes, found {found}")]
    Value {
        /// The name.
        name: String,
        /// The number of bytes.
        found: usize,
    },
    /// There are too many.
    #[error("expected at most {MOST_PROPERTIES} properties, found {0}")]
    Many(usize),
}

/// The most bytes of a value: Glance's column in MySQL has 65,535.
const LONGEST_VALUE: usize = 60_000;

/// The most properties of the site: an image has at most 128 by default, and the operator needs some.
const MOST_PROPERTIES: usize = 64;

/// Prefixes of the operator, and of other programs that publish images from lists.
const OURS: [&str; 3] = ["vmcatcher_", "cloudkeeper_", "appliance_"];

/// Names that belong to Glance besides the fields of an image ("Show image"): those of older versions and of members.
const GLANCES: [&str; 4] = ["members", "is_public", "image_id", "owner_id"];

/// Prefixes that belong to Glance, or to signatures of the bytes.
const GLANCE_PREFIXES: [&str; 3] = ["os_glance_", "img_signature", "owner_specified."];

impl Settings {
    /// The defaults of a target: private, named by the title, uploaded, retired images never deleted, nothing to adopt,
    /// 3 h for an import.
    pub fn new(claim: Claim) -> Self {
        Self {
            claim,
            visibility: Visibility::Private,
            shared_with: BTreeSet::new(),
            vo_projects: BTreeMap::new(),
            properties: BTreeMap::new(),
            name: NameFrom::default(),
            adopt: Adoptable::default(),
            delete_after: None,
            transfer: Transfer::default(),
            patience: SignedDuration::from_hours(3),
        }
    }

    /// Checks that a site may set these properties.
    pub fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), SettingsError> {
        if properties.len() > MOST_PROPERTIES {
            return Err(SettingsError::Many(properties.len()));
        }
        properties.iter().try_for_each(|(name, value)| check_property(name, value))
    }
}

fn check_property(name: &str, value: &str) -> Result<(), SettingsError> {
    let characters = name.chars().count();
    if !(1..=255).contains(&characters) {
        return Err(SettingsError::Length { name: name.chars().take(40).collect(), found: characters });
    }
    let lower = name.to_lowercase();
    if OURS.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(SettingsError::Ours(name.to_owned()));
    }
    if is_field(&lower)
        || GLANCES.contains(&lower.as_str())
        || GLANCE_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
    {
        return Err(SettingsError::Glances(name.to_owned()));
    }
    if value.len() > LONGEST_VALUE {
        return Err(SettingsError::Value { name: name.to_owned(), found: value.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<(), String> {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Settings::check_properties(&properties).map_err(|error| error.to_string())
    }

    #[test]
    fn a_site_sets_its_own_properties_only() {
        for name in ["hw_disk_bus", "marketplace", "os_distro", "eu.egi/cloud", "größe"] {
            assert_eq!(check(name, ""), Ok(()), "{name}");
        }
        for name in ["vmcatcher_role", "VMCATCHER_EVENT_DC_TITLE", "CLOUDKEEPER_ID", "APPLIANCE_ATTRIBUTES"] {
            let expected = format!("the property {name} is set by the operator itself and cannot be given");
            assert_eq!(check(name, "x"), Err(expected));
        }
        for name in ["id", "Name", "os_glance_importing_to_stores", "img_signature_hash_method", "stores"] {
            let expected = format!("the property {name} belongs to Glance and cannot be given");
            assert_eq!(check(name, "x"), Err(expected));
        }
        assert!(check("", "x").unwrap_err().contains("found 0"));
        assert!(check(&"a".repeat(255), &"x".repeat(60_000)).is_ok());
        assert!(check(&"a".repeat(256), "x").unwrap_err().contains("found 256"));
        assert!(check("a", &"x".repeat(60_001)).unwrap_err().contains("found 60001"));
        let many = (0..65).map(|number| (number.to_string(), String::new())).collect();
        assert_eq!(Settings::check_properties(&many), Err(SettingsError::Many(65)));
    }
}
