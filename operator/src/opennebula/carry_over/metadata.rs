//! The metadata of an image that the site controls, and the record that contains it.

use serde::{Deserialize, Serialize};

use crate::cloud;
use crate::opennebula::document::{Image, Permissions};

/// The record of one image at an OpenNebula.
pub type Record = cloud::Record<u32, Metadata>;

impl Record {
    /// The entry of this image. The id alone is not sufficient, because it could be of a rebuilt cloud.
    pub fn of(&self, image: &Image) -> Option<&cloud::PublishedImage<u32>> {
        let same = |entry: &&cloud::PublishedImage<u32>| {
            entry.id == image.id && entry.registered.is_none_or(|time| time == image.registered)
        };
        self.images.iter().find(same)
    }
}

/// The metadata that the site controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, three octal digits.
    pub permissions: Permissions,
    /// False when the site disabled it.
    pub enabled: bool,
    /// The attribute LABELS, which users sort images by.
    pub labels: Option<String>,
}

impl Metadata {
    /// The metadata of an image in the cloud.
    pub fn of(image: &Image) -> Self {
        let labels = image.attribute("LABELS");
        Self {
            uid: image.uid,
            gid: image.gid,
            permissions: image.permissions,
            enabled: !image.is_disabled(),
            labels: (!labels.is_empty()).then(|| labels.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_as_json() {
        let record: Record = serde_json::from_str(
            r#"{"images":[{"id":7,"registered":null,"sha512":"00"}],"metadata":{"uid":2,"gid":100,"permissions":"640","enabled":true,"labels":null}}"#
                .replace("\"00\"", &format!("\"{}\"", "0".repeat(128)))
                .as_str(),
        )
        .unwrap();
        assert_eq!(record.metadata.as_ref().unwrap().permissions.bits(), 0o640);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        assert!(serde_json::from_str::<Record>("{\"metadata\":{\"permissions\":\"999\"}}").is_err());
    }
}
