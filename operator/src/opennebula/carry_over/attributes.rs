//! The attributes of images of this operator.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Metadata, Request, Settings};
use crate::cloud::{Source, Wanted};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::client::ServerVersion;
use crate::opennebula::document::Image;
use crate::opennebula::template::Template;

pub(super) const IDENTIFIER: &str = "VMCATCHER_EVENT_DC_IDENTIFIER";
pub(super) const CLOUDKEEPER_IDENTIFIER: &str = "CLOUDKEEPER_APPLIANCE_ID";
pub(super) const DIGEST: &str = "VMCATCHER_EVENT_SL_CHECKSUM_SHA512";
pub(super) const OPERATOR: &str = "VMCATCHER_OPERATOR";
pub(super) const ROLE: &str = "VMCATCHER_ROLE";
const RETIRED_TIME: &str = "VMCATCHER_RETIRED_TIME";
const REMEMBERED_UID: &str = "VMCATCHER_REMEMBERED_UID";
const REMEMBERED_GID: &str = "VMCATCHER_REMEMBERED_GID";
const REMEMBERED_PERMISSIONS: &str = "VMCATCHER_REMEMBERED_PERMISSIONS";
const REMEMBERED_ENABLED: &str = "VMCATCHER_REMEMBERED_ENABLED";
const REMEMBERED_LABELS: &str = "VMCATCHER_REMEMBERED_LABELS";

/// The role of an image of this operator, as in `VMCATCHER_ROLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// The current image, whose name is the identifier.
    Current,
    /// Registered under a staging name. It gets the identifier as its name only when its owner, group and permissions
    /// are complete.
    Staged,
    /// Registered under the identifier itself (in place). The remembered metadata is not applied yet.
    Registering,
    /// Out of circulation.
    Retired,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Staged => "staged",
            Self::Registering => "registering",
            Self::Retired => "retired",
        }
    }

    pub(super) fn read(image: &Image) -> Option<Self> {
        let text = image.attribute(ROLE);
        [Self::Current, Self::Staged, Self::Registering, Self::Retired].into_iter().find(|role| role.as_str() == text)
    }
}

/// The attributes that the operator controls and repairs if they differ: those from the list, the operator's claim, and
/// the role. The second value is the names of attributes that the list does not have; they are emptied if an older
/// version left them.
pub(super) fn described(
    request: &Request,
    wanted: &Wanted,
    settings: &Settings,
    role: Role,
) -> (Template, Vec<&'static str>) {
    let digest = wanted.sha512.to_string();
    let mut template = Template::new();
    let mut absent = Vec::new();
    for (name, value) in from_list(wanted, &digest) {
        template.set(name, value.unwrap_or_default());
        if template.get(name).is_none() {
            absent.push(name);
        }
    }
    template.set(IDENTIFIER, request.identifier.as_str());
    template.set("VMCATCHER_EVENT_TYPE", "AvailablePostfix");
    template.set(OPERATOR, &settings.claim.to_string());
    template.set(ROLE, role.as_str());
    (template, absent)
}

/// The attributes from the list.
fn from_list<'a>(wanted: &'a Wanted, digest: &'a str) -> [(&'static str, Option<&'a str>); 17] {
    let event = &wanted.event;
    let description = event.description.as_ref().filter(|text| !text.trim().is_empty()).or(event.title.as_ref());
    [
        ("DESCRIPTION", description.map(String::as_str)),
        ("VMCATCHER_EVENT_DC_TITLE", event.title.as_deref()),
        ("VMCATCHER_EVENT_DC_DESCRIPTION", event.description.as_deref()),
        ("VMCATCHER_EVENT_HV_HYPERVISOR", event.hypervisor.as_deref()),
        ("VMCATCHER_EVENT_HV_SIZE", event.size.as_deref()),
        ("VMCATCHER_EVENT_HV_URI", event.uri.as_deref()),
        ("VMCATCHER_EVENT_HV_FORMAT", event.format.as_deref()),
        ("VMCATCHER_EVENT_HV_VERSION", event.version.as_deref()),
        ("VMCATCHER_EVENT_SL_ARCH", event.arch.as_deref()),
        ("VMCATCHER_EVENT_SL_COMMENTS", event.comments.as_deref()),
        ("VMCATCHER_EVENT_SL_OS", event.os.as_deref()),
        ("VMCATCHER_EVENT_SL_OSVERSION", event.os_version.as_deref()),
        ("VMCATCHER_EVENT_IL_DC_IDENTIFIER", event.list_identifier.as_deref()),
        ("VMCATCHER_EVENT_FILENAME", event.filename.as_deref()),
        ("VMCATCHER_EVENT_AD_MPURI", event.mpuri.as_deref()),
        ("VMCATCHER_EVENT_VO", event.vo.as_deref()),
        (DIGEST, Some(digest)),
    ]
}

/// The complete template of a registration. The site's own attributes are set first, so that they cannot replace the
/// operator's.
pub(super) fn registration(
    (request, wanted, source): (&Request, &Wanted, &Source),
    (settings, version): (&Settings, &ServerVersion),
    name: &str,
    role: Role,
) -> Template {
    let mut template = Template::new();
    for (attribute, value) in &settings.template {
        template.set_checked(attribute, value);
    }
    let (described, _) = described(request, wanted, settings, role);
    template.extend(described);
    template.set("NAME", name);
    template.set("TYPE", "OS");
    template.set("PATH", &source.location);
    // Servers before 7 read the hypervisor's format from this attribute. Newer ones detect it from the bytes and ignore
    // both.
    template.set(if version.takes_driver() { "DRIVER" } else { "FORMAT" }, source.format.as_str());
    template.set("SHA1", source.sha1.as_deref().unwrap_or_default());
    template
}

/// The remembered metadata, to be written to the image it was read from.
pub(super) fn remembered(metadata: &Metadata) -> Template {
    let mut template = Template::new();
    template.set(REMEMBERED_UID, &metadata.uid.to_string());
    template.set(REMEMBERED_GID, &metadata.gid.to_string());
    template.set(REMEMBERED_PERMISSIONS, &metadata.permissions.to_string());
    template.set(REMEMBERED_ENABLED, if metadata.enabled { "YES" } else { "NO" });
    // It always has a value, because an attribute cannot be removed: `=` and the labels, or `-` for none.
    let labels = metadata.labels.as_ref().map_or("-".to_owned(), |labels| format!("={labels}"));
    template.set(REMEMBERED_LABELS, &labels);
    template
}

/// The metadata that is remembered on a retired image; `None` if any part is missing or invalid.
pub(super) fn read_remembered(image: &Image) -> Option<Metadata> {
    fn parsed<T: FromStr>(image: &Image, name: &str) -> Option<T> {
        image.attribute(name).trim().parse().ok()
    }
    Some(Metadata {
        uid: parsed(image, REMEMBERED_UID)?,
        gid: parsed(image, REMEMBERED_GID)?,
        permissions: parsed(image, REMEMBERED_PERMISSIONS)?,
        enabled: match image.attribute(REMEMBERED_ENABLED) {
            "YES" => true,
            "NO" => false,
            _ => return None,
        },
        labels: image.attribute(REMEMBERED_LABELS).strip_prefix('=').map(str::to_owned),
    })
}

/// The value of the digest attribute on an image whose bytes were not verified here.
const UNVERIFIED: &str = "unverified";

/// The identifier and the digest of an image, as known from the record. They are written when the image is retired.
/// Until then its owner could change them, and changed values would be trusted later if the record were lost.
pub(super) fn identity(request: &Request, digest: Option<Sha512Digest>, image: &Image) -> Template {
    let mut template = Template::new();
    template.set(IDENTIFIER, request.identifier.as_str());
    match digest {
        Some(digest) => template.set(DIGEST, &digest.to_string()),
        None if image.attribute(DIGEST).is_empty() => {}
        None => template.set(DIGEST, UNVERIFIED),
    }
    template
}

/// The role `retired`, its time, and the operator's claim.
pub(super) fn retirement(settings: &Settings, now: Timestamp) -> Template {
    let mut template = Template::new();
    template.set(ROLE, Role::Retired.as_str());
    template.set(RETIRED_TIME, &now.round(jiff::Unit::Second).unwrap_or(now).to_string());
    template.set(OPERATOR, &settings.claim.to_string());
    template
}

/// The time of retirement, if the operator wrote it.
pub(super) fn retired_since(image: &Image) -> Option<Timestamp> {
    image.attribute(RETIRED_TIME).parse().ok()
}

/// The digest of an image, from its attribute.
pub(super) fn digest(image: &Image) -> Option<Sha512Digest> {
    image.attribute(DIGEST).parse().ok()
}

/// The identifier in the attributes of an image: the original handler's attribute, or cloudkeeper's.
pub(super) fn identifier(attributes: &BTreeMap<String, String>) -> Option<ImageId> {
    let by = |name: &str| attributes.get(name)?.parse().ok();
    by(IDENTIFIER).or_else(|| by(CLOUDKEEPER_IDENTIFIER))
}
