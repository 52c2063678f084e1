//! The record of an image between passes, stored on the volume and in the status of the resource.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::document::{Image, Permissions};

/// The record of what was published of one image at one target. Anyone who may change an image can forge its
/// attributes, but not this record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Images that were registered or adopted and still exist in the cloud.
    pub images: Vec<PublishedImage>,
    /// The site's metadata of the current image, as last seen.
    pub metadata: Option<Metadata>,
    /// When the metadata was last seen to change.
    pub seen: Option<Timestamp>,
    /// The last registration that was started. It is kept until its image is in circulation, or everything is out of
    /// circulation.
    pub registration: Option<Registration>,
    /// The number of successive failed imports.
    pub failures: u32,
    /// The time of the last failure.
    pub last_failure: Option<Timestamp>,
    /// The message of the last failure.
    pub failure: Option<String>,
}

/// A registration. It is stored before it is sent, because its response may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// When it was sent.
    pub at: Timestamp,
    /// The digest of the version.
    pub sha512: Sha512Digest,
    /// Whether there was a response, or its image was seen in the pool. If not, the image may still appear.
    pub seen: bool,
}

/// How long a server may continue with a registration after the client stopped waiting.
const REGISTERING_FOR: SignedDuration = SignedDuration::from_mins(10);

/// An image of this operator in a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedImage {
    /// Its id.
    pub id: u32,
    /// Its `REGTIME`; `None` until it was first seen in the pool. The id and the time together distinguish this cloud
    /// from a rebuilt one.
    pub registered: Option<i64>,
    /// The version's digest.
    pub sha512: Sha512Digest,
    /// Whether it was seen to be out of circulation, except perhaps for its owner. Then it does not matter if it is
    /// hidden later.
    #[serde(default)]
    pub retired: bool,
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

impl Record {
    /// The entry of this image. The id alone is not sufficient, because it could be of a rebuilt cloud.
    pub fn of(&self, image: &Image) -> Option<&PublishedImage> {
        let same = |entry: &&PublishedImage| {
            entry.id == image.id && entry.registered.is_none_or(|time| time == image.registered)
        };
        self.images.iter().find(same)
    }

    /// Whether the record has images, or a pending registration.
    pub fn may_be_there(&self) -> bool {
        !self.images.is_empty() || self.registration.is_some()
    }

    /// The time until which the image of a pending registration may still appear. Setting the clock back does not
    /// extend it.
    pub fn may_appear_until(&self, now: Timestamp) -> Option<Timestamp> {
        let unseen = self.registration.as_ref().filter(|registration| !registration.seen)?;
        let open = now.duration_since(unseen.at).abs() < REGISTERING_FOR;
        open.then(|| unseen.at.checked_add(REGISTERING_FOR).unwrap_or(Timestamp::MAX))
    }

    /// When an import may be tried again: 1 minute after the first failure, doubled after each further one, at most 6
    /// hours.
    pub fn retry_at(&self) -> Option<Timestamp> {
        let exponent = self.failures.checked_sub(1)?.min(9);
        let pause = SignedDuration::from_mins(1 << exponent).min(SignedDuration::from_hours(6));
        self.last_failure?.checked_add(pause).ok()
    }

    /// Records a failed import.
    pub fn fail(&mut self, message: String, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(now);
        self.failure = Some(message);
    }

    /// Forgets failures, because it succeeded or a user asked to try now.
    pub fn clear_failures(&mut self) {
        self.failures = 0;
        self.last_failure = None;
        self.failure = None;
    }
}

/// Stores records persistently. Called before the first change of an image, and again when one was registered. If it
/// fails, the image is not changed.
pub trait Keeper: Send + Sync {
    /// Replaces the record of this identifier.
    fn keep(&self, identifier: &ImageId, record: &Record) -> Result<(), String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_six_hours() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut record = Record::default();
        assert_eq!(record.retry_at(), None);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            record.fail("no".to_owned(), now);
            pauses.push(record.retry_at().unwrap().duration_since(now).as_mins());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        record.clear_failures();
        assert_eq!(record, Record::default());
    }

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
