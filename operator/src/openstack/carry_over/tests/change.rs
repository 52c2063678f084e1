//! Images of the model, and how a change of them is made.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::world::refusal;
use crate::imagelist::Sha512Digest;
use crate::openstack::error::OpenStackError;
use crate::openstack::glance::{Change, Value};
use crate::openstack::image::{Image, ImageStatus, Visibility};

pub(super) fn blank(id: Uuid, owner: &str, now: Timestamp) -> Image {
    Image {
        id,
        name: None,
        status: ImageStatus::Queued,
        visibility: Visibility::Shared,
        owner: owner.to_owned(),
        protected: false,
        os_hidden: false,
        tags: BTreeSet::new(),
        disk_format: None,
        container_format: None,
        size: None,
        checksum: None,
        os_hash_algo: None,
        os_hash_value: None,
        min_disk: 0,
        min_ram: 0,
        created_at: now,
        updated_at: now,
        properties: BTreeMap::new(),
    }
}

pub(super) fn fill(image: &mut Image, data: Sha512Digest) {
    image.status = ImageStatus::Active;
    image.size = Some(4096);
    image.os_hash_algo = Some("sha512".to_owned());
    image.os_hash_value = Some(data.to_string());
}

pub(super) fn apply(image: &mut Image, change: &Change, may_publicise: bool) -> Result<(), OpenStackError> {
    let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { panic!("{value:?}") };
    let flag = |value: &Value| if let Value::Bool(flag) = value { *flag } else { panic!("{value:?}") };
    let number = |value: &Value| if let Value::Number(number) = value { *number } else { panic!("{value:?}") };
    match change {
        Change::Remove { name } => {
            return image.properties.remove(name).map(drop).ok_or_else(|| refusal(409, "Property does not exist."));
        }
        Change::Replace { name, value } | Change::Add { name, value } => match (name.as_str(), value) {
            ("name", value) => image.name = Some(text(value)),
            ("visibility", value) if text(value) == "public" && !may_publicise => {
                return Err(refusal(403, "You are not authorized to complete publicize_image action."));
            }
            ("visibility", value) => image.visibility = Visibility::parse(&text(value)),
            ("os_hidden", value) => image.os_hidden = flag(value),
            ("protected", value) => image.protected = flag(value),
            ("min_disk", value) => image.min_disk = number(value),
            ("min_ram", value) => image.min_ram = number(value),
            ("tags", Value::Tags(tags)) => image.tags.clone_from(tags),
            (name, value) => drop(image.properties.insert(name.to_owned(), text(value))),
        },
    }
    Ok(())
}
