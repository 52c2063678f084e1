//! The site's metadata on a retired image, and the time of its retirement. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::metadata::Metadata;
use super::properties::{IDENTIFIER, LONGEST, OPERATOR, ROLE, Role, property};
use crate::imagelist::ImageId;
use crate::openstack::image::Image;
use crate::openstack::settings::Settings;

const RETIRED_TIME: &str = "vmcatcher_retired_time";
const REMEMBERED: &str = "vmcatcher_remembered";

/// The properties of a retirement: the role, its time, the claim, the identifier, and the site's metadata, unless that is
/// too long for a value.
pub(super) fn retirement(
    identifier: &ImageId,
    settings: &Settings,
    metadata: &Metadata,
    now: Timestamp,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        (IDENTIFIER.to_owned(), identifier.as_str().to_owned()),
        (OPERATOR.to_owned(), settings.claim.to_string()),
        (ROLE.to_owned(), Role::Retired.as_str().to_owned()),
        (RETIRED_TIME.to_owned(), now.round(jiff::Unit::Second).unwrap_or(now).to_string()),
    ]);
    let remembered = serde_json::to_string(metadata).ok().filter(|text| text.len() <= LONGEST);
    all.extend(remembered.map(|text| (REMEMBERED.to_owned(), text)));
    all
}

/// The site's metadata that is remembered on a retired image; `None` if it is missing or invalid.
pub(super) fn read_remembered(image: &Image) -> Option<Metadata> {
    serde_json::from_str(property(image, REMEMBERED)).ok()
}

/// The time of retirement, if the operator wrote it.
pub(super) fn retired_since(image: &Image) -> Option<Timestamp> {
    property(image, RETIRED_TIME).parse().ok()
}
