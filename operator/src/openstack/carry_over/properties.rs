//! The properties and tags of images of this operator. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::systems;
use crate::cloud::{EventAttributes, Wanted};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::openstack::image::Image;
use crate::openstack::settings::Settings;

/// The tag of all images of an operator.
pub const TAG: &str = "vmcatcher";
/// The tag of its retired images.
pub const RETIRED_TAG: &str = "vmcatcher-retired";

pub(super) const IDENTIFIER: &str = "vmcatcher_event_dc_identifier";
pub(super) const DIGEST: &str = "vmcatcher_event_sl_checksum_sha512";
pub(super) const OPERATOR: &str = "vmcatcher_operator";
pub(super) const ROLE: &str = "vmcatcher_role";
/// The digest of the bytes that were sent, if the image was converted.
const SENT: &str = "vmcatcher_sent_sha512";
const PREFIX: &str = "vmcatcher_";

/// The most bytes of a value. Glance's column in MySQL has 65,535.
pub(super) const LONGEST: usize = 60_000;

/// Properties of other programs that publish images from lists, and of clients, which say something about the old bytes:
/// cloudkeeper, atrope, the handler in Python, openstacksdk, and the signature of an image.
const OTHERS: [&str; 4] = ["appdb_id", "sha512", "image_hash", "image_list"];
const OTHER_PREFIXES: [&str; 6] =
    ["CLOUDKEEPER_", "APPLIANCE_", "VMCATCHER_", "os_glance_", "img_signature", "owner_specified."];
/// The tag by which atrope finds its images, and deletes them.
const OTHER_TAGS: [&str; 1] = ["atrope"];

/// The role of an image of this operator, as in `vmcatcher_role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    /// In circulation.
    Current,
    /// Hidden and private. It gets its role only when everything else about it is complete.
    Staged,
    /// Out of circulation.
    Retired,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Staged => "staged",
            Self::Retired => "retired",
        }
    }

    pub(super) fn read(image: &Image) -> Option<Self> {
        let text = property(image, ROLE);
        [Self::Current, Self::Staged, Self::Retired].into_iter().find(|role| role.as_str() == text)
    }
}

/// A property, or an empty text.
pub(super) fn property<'a>(image: &'a Image, name: &str) -> &'a str {
    image.properties.get(name).map_or("", String::as_str)
}

/// The properties that the operator controls and repairs if they differ: those from the list, the operator's claim, and
/// the role. An empty value of the list is left out. A property that the site's settings have is the site's.
pub(super) fn described(
    identifier: &ImageId,
    wanted: &Wanted,
    settings: &Settings,
    role: Role,
) -> BTreeMap<String, String> {
    let event = &wanted.event;
    let digest = wanted.sha512.to_string();
    let mut all: BTreeMap<String, String> = from_list(event)
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.trim())))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), cut(value).to_owned()))
        .collect();
    let systems = systems::described(event.os.as_deref(), event.os_version.as_deref(), event.arch.as_deref());
    let systems = systems.into_iter().filter(|(name, _)| !settings.properties.contains_key(*name));
    all.extend(systems.map(|(name, value)| (name.to_owned(), value)));
    let ours = [
        (IDENTIFIER, identifier.as_str()),
        (DIGEST, digest.as_str()),
        ("vmcatcher_event_type", "AvailablePostfix"),
        (OPERATOR, &settings.claim.to_string()),
        (ROLE, role.as_str()),
    ];
    all.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all
}

/// The properties from the list.
fn from_list(event: &EventAttributes) -> [(&'static str, Option<&str>); 15] {
    [
        ("vmcatcher_event_dc_title", event.title.as_deref()),
        ("vmcatcher_event_dc_description", event.description.as_deref()),
        ("vmcatcher_event_hv_hypervisor", event.hypervisor.as_deref()),
        ("vmcatcher_event_hv_size", event.size.as_deref()),
        ("vmcatcher_event_hv_uri", event.uri.as_deref()),
        ("vmcatcher_event_hv_format", event.format.as_deref()),
        ("vmcatcher_event_hv_version", event.version.as_deref()),
        (LIST_ARCH, event.arch.as_deref()),
        ("vmcatcher_event_sl_comments", event.comments.as_deref()),
        (LIST_OS, event.os.as_deref()),
        (LIST_OS_VERSION, event.os_version.as_deref()),
        ("vmcatcher_event_il_dc_identifier", event.list_identifier.as_deref()),
        ("vmcatcher_event_filename", event.filename.as_deref()),
        ("vmcatcher_event_ad_mpuri", event.mpuri.as_deref()),
        ("vmcatcher_event_vo", event.vo.as_deref()),
    ]
}

const LIST_ARCH: &str = "vmcatcher_event_sl_arch";
const LIST_OS: &str = "vmcatcher_event_sl_os";
const LIST_OS_VERSION: &str = "vmcatcher_event_sl_osversion";

/// The start of a value that is too long.
fn cut(value: &str) -> &str {
    let end = (0..=value.len().min(LONGEST)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or_default();
    &value[..end]
}

/// The properties of a new version: those of the list, of the settings, and the digest of the bytes if they differ from
/// the list's.
pub(super) fn registration(
    identifier: &ImageId,
    wanted: &Wanted,
    sent: Sha512Digest,
    settings: &Settings,
) -> BTreeMap<String, String> {
    let mut all = settings.properties.clone();
    all.extend(described(identifier, wanted, settings, Role::Staged));
    if sent != wanted.sha512 {
        all.insert(SENT.to_owned(), sent.to_string());
    }
    all
}

/// The digest of the bytes that were sent to an image: that of its version, unless it was converted.
pub(super) fn sent_digest(image: &Image) -> Option<Sha512Digest> {
    property(image, SENT).parse().ok().or_else(|| digest(image))
}

/// The properties of an image in circulation that the operator wrote earlier and that no longer apply. The site's settings
/// can have some of the others.
pub(super) fn stale(image: &Image, described: &BTreeMap<String, String>, settings: &Settings) -> Vec<String> {
    let derived = derived(image);
    let ours = |name: &str, value: &str| {
        name.starts_with(PREFIX) && name != SENT
            || is_derived(&derived, name, value) && !settings.properties.contains_key(name)
    };
    let all = image.properties.iter().filter(|(name, value)| ours(name, value) && !described.contains_key(*name));
    all.map(|(name, _)| name.clone()).collect()
}

/// What the operator made of the list's values on an image.
fn derived(image: &Image) -> Vec<(&'static str, String)> {
    let text = |name: &str| image.properties.get(name).map(String::as_str);
    systems::described(text(LIST_OS), text(LIST_OS_VERSION), text(LIST_ARCH))
}

fn is_derived(derived: &[(&'static str, String)], name: &str, value: &str) -> bool {
    derived.iter().any(|(other, text)| *other == name && text == value)
}

/// The properties that the site controls. `os_distro`, `os_version` and `architecture` are the operator's if they are
/// what it makes from the list's values.
pub(super) fn site_properties(image: &Image) -> BTreeMap<String, String> {
    let derived = derived(image);
    let of_site = |(name, value): &(&String, &String)| {
        !name.starts_with(PREFIX) && !is_of_others(name) && !is_derived(&derived, name, value)
    };
    image.properties.iter().filter(of_site).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_of_others(name: &str) -> bool {
    OTHERS.contains(&name) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The tags that the site controls.
pub(super) fn site_tags(image: &Image) -> BTreeSet<String> {
    let of_site = |tag: &&String| ![TAG, RETIRED_TAG].contains(&tag.as_str()) && !OTHER_TAGS.contains(&tag.as_str());
    image.tags.iter().filter(of_site).cloned().collect()
}

/// The digest of the version, from its property.
pub(super) fn digest(image: &Image) -> Option<Sha512Digest> {
    property(image, DIGEST).parse().ok()
}

/// The identifier in the properties of an image, as this operator and glancepush write it.
pub(super) fn identifier(image: &Image) -> Option<ImageId> {
    property(image, IDENTIFIER).parse().ok()
}

/// All identifiers in the properties of an image, as other programs write them: glancepush in lower and upper case,
/// atrope (`appdb_id`), cloudkeeper-os (`APPLIANCE_IDENTIFIER`), and cloudkeeper's name for it in other clouds.
pub(super) fn identifiers(image: &Image) -> Vec<&str> {
    let names = [
        IDENTIFIER,
        "VMCATCHER_EVENT_DC_IDENTIFIER",
        "appdb_id",
        "APPLIANCE_IDENTIFIER",
        "APPLIANCE_ID",
        "CLOUDKEEPER_APPLIANCE_ID",
    ];
    names.into_iter().map(|name| property(image, name)).filter(|value| !value.is_empty()).collect()
}
