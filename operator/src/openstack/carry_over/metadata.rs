//! The metadata of an image that the site controls, and the record that contains it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::properties;
use crate::cloud;
use crate::openstack::image::{Image, ImageStatus, Member, MemberStatus, Visibility};

/// The record of one image at an OpenStack.
pub type Record = cloud::Record<Uuid, Metadata>;

/// Projects with which an image is shared, by id, and whether each accepted it.
pub type Members = BTreeMap<String, bool>;

impl Record {
    /// The entry of this image.
    pub fn of(&self, id: Uuid) -> Option<&cloud::PublishedImage<Uuid>> {
        self.images.iter().find(|entry| entry.id == id)
    }

    /// Whether this image was published from here, or is about to be.
    pub fn knows(&self, id: Uuid) -> bool {
        self.of(id).is_some() || self.registration.as_ref().is_some_and(|registration| registration.id == Some(id))
    }
}

/// The metadata that the site controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    pub name: Option<String>,
    /// Who may see it.
    #[serde(serialize_with = "write_visibility", deserialize_with = "read_visibility")]
    pub visibility: Visibility,
    /// The members of a shared image, as last read: they are read only when an image is replaced or retired.
    #[serde(default)]
    pub members: Members,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// Whether lists leave it out.
    pub hidden: bool,
    /// The tags, without those of the operator.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The properties, without those of the operator and of Glance.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// False when it was deactivated.
    pub active: bool,
    /// The smallest disk for it, in GiB.
    #[serde(default)]
    pub min_disk: u64,
    /// The smallest memory for it, in MiB.
    #[serde(default)]
    pub min_ram: u64,
}

impl Metadata {
    /// The metadata of an image in the cloud, with these members.
    pub fn of(image: &Image, members: Members) -> Self {
        Self {
            name: image.name.clone(),
            visibility: image.visibility.clone(),
            members,
            protected: image.protected,
            hidden: image.os_hidden,
            tags: properties::site_tags(image),
            properties: properties::site_properties(image),
            active: image.status != ImageStatus::Deactivated,
            min_disk: image.min_disk,
            min_ram: image.min_ram,
        }
    }
}

/// Members as read from Glance.
pub(super) fn members(list: &[Member]) -> Members {
    list.iter().map(|member| (member.project.clone(), member.status == MemberStatus::Accepted)).collect()
}

fn write_visibility<S: Serializer>(visibility: &Visibility, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(visibility.as_str())
}

fn read_visibility<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Visibility, D::Error> {
    String::deserialize(deserializer).map(|text| Visibility::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_as_json() {
        let text = format!(
            r#"{{"images":[{{"id":"858a817e-0ca2-473f-89d3-d5bdfc51968e","registered":7,"sha512":"{}","retired":false}}],"metadata":{{"name":"a","visibility":"shared","members":{{"p":true}},"protected":false,"hidden":true,"tags":["t"],"properties":{{"k":"v"}},"active":true,"minDisk":1,"minRam":2}},"failures":0}}"#,
            "0".repeat(128)
        );
        let record: Record = serde_json::from_str(&text).unwrap();
        let metadata = record.metadata.as_ref().unwrap();
        assert_eq!((&metadata.visibility, metadata.members["p"]), (&Visibility::Shared, true));
        let stored = serde_json::to_string(&record.stored().unwrap()).unwrap();
        let again: cloud::StoredRecord = serde_json::from_str(&stored).unwrap();
        assert_eq!(again.typed::<Uuid, Metadata>().unwrap(), record);
    }
}
