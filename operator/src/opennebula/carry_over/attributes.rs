//! The attributes that images of ours carry.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Metadata, Request, Settings, Source, Wanted};
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

/// What an image of ours is for, as written in `VMCATCHER_ROLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// The one that has the identifier as its name.
    Current,
    /// Made under a staging name; complete with owner, group and permissions before it gets the identifier.
    Staged,
    /// Made under the identifier itself (in place); what was remembered is not applied yet.
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

/// The attributes that belong to us and are repaired when they differ: what the list says, whose it is, its role.
/// With each the names of those that the list does not give, to be emptied where an older version left them.
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

/// What the list says, by attribute.
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

/// The whole template of a registration. The site's own attributes come first, so that none can stand for one of ours.
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
    // Servers before 7 take the hypervisor's format from here; newer ones look at the bytes and drop both.
    template.set(if version.takes_driver() { "DRIVER" } else { "FORMAT" }, source.format.as_str());
    template.set("SHA1", source.sha1.as_deref().unwrap_or_default());
    template
}

/// What is remembered, to be written on the image it was read from.
pub(super) fn remembered(metadata: &Metadata) -> Template {
    let mut template = Template::new();
    template.set(REMEMBERED_UID, &metadata.uid.to_string());
    template.set(REMEMBERED_GID, &metadata.gid.to_string());
    template.set(REMEMBERED_PERMISSIONS, &metadata.permissions.to_string());
    template.set(REMEMBERED_ENABLED, if metadata.enabled { "YES" } else { "NO" });
    // Always a value, since an attribute cannot be taken away again: `=` and the labels, or `-`.
    let labels = metadata.labels.as_ref().map_or("-".to_owned(), |labels| format!("={labels}"));
    template.set(REMEMBERED_LABELS, &labels);
    template
}

/// What is remembered on a retired image; none where any part is missing or no value.
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

/// What stands for a digest on an image whose bytes nobody verified here.
const UNVERIFIED: &str = "unverified";

/// Which image and version it is, as it is known here: until it is retired its owner can write something else, which
/// would be believed once nobody remembers.
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

/// Role retired, since when, and whose.
pub(super) fn retirement(settings: &Settings, now: Timestamp) -> Template {
    let mut template = Template::new();
    template.set(ROLE, Role::Retired.as_str());
    template.set(RETIRED_TIME, &now.round(jiff::Unit::Second).unwrap_or(now).to_string());
    template.set(OPERATOR, &settings.claim.to_string());
    template
}

/// Since when an image is retired, where we wrote it.
pub(super) fn retired_since(image: &Image) -> Option<Timestamp> {
    image.attribute(RETIRED_TIME).parse().ok()
}

/// The version of an image by its attribute.
pub(super) fn digest(image: &Image) -> Option<Sha512Digest> {
    image.attribute(DIGEST).parse().ok()
}

/// The identifier an image says it has: the original handler's attribute, or cloudkeeper's.
pub(super) fn identifier(attributes: &BTreeMap<String, String>) -> Option<ImageId> {
    let by = |name: &str| attributes.get(name)?.parse().ok();
    by(IDENTIFIER).or_else(|| by(CLOUDKEEPER_IDENTIFIER))
}
