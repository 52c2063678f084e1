//! What is kept of an image between passes: on the volume and in the status of the resource.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::imagelist::Sha512Digest;
use crate::opennebula::document::{Image, Permissions};

/// What was published of one image at one target, and how it went. Attributes of an image can be forged by whoever may
/// change it; this cannot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Images that were registered or adopted and are still in the cloud.
    pub images: Vec<PublishedImage>,
    /// What the site made of the current image, as last seen.
    pub metadata: Option<Metadata>,
    /// When that was, or when an import last failed.
    pub seen: Option<Timestamp>,
    /// The last registration that was begun, until its image is in circulation, or everything is out of it.
    pub registration: Option<Registration>,
    /// How many imports failed in a row.
    pub failures: u32,
    /// When the last one did.
    pub last_failure: Option<Timestamp>,
    /// Why.
    pub failure: Option<String>,
}

/// A registration: kept before it is sent, for its answer may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// When it was sent.
    pub at: Timestamp,
    /// Of which version.
    pub sha512: Sha512Digest,
    /// Whether it was answered, or its image was seen in the pool. One that was not may still come.
    pub seen: bool,
}

/// How long a server may work on a registration that nobody waits for any more.
const REGISTERING_FOR: SignedDuration = SignedDuration::from_mins(10);

/// An image of ours in a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedImage {
    /// Its id.
    pub id: u32,
    /// Its `REGTIME`; none until it was first seen in the pool. Id and time together tell a rebuilt cloud from this one.
    pub registered: Option<i64>,
    /// The version's digest.
    pub sha512: Sha512Digest,
    /// It was seen to be out of circulation, but perhaps for its owner. Whoever cannot see it any more need not.
    #[serde(default)]
    pub retired: bool,
}

/// What belongs to the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, three octal digits.
    #[serde(with = "octal")]
    pub permissions: Permissions,
    /// False when the site disabled it.
    pub enabled: bool,
    /// The attribute LABELS, by which people sort images.
    pub labels: Option<String>,
}

impl Metadata {
    /// As the cloud shows it.
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
    /// The entry of this image, if it is the very one: an id alone could be of a cloud that was built anew.
    pub fn of(&self, image: &Image) -> Option<&PublishedImage> {
        let same = |entry: &&PublishedImage| {
            entry.id == image.id && entry.registered.is_none_or(|time| time == image.registered)
        };
        self.images.iter().find(same)
    }

    /// Whether images of it were there, or one was on its way, when it was last kept.
    pub fn may_be_there(&self) -> bool {
        !self.images.is_empty() || self.registration.is_some()
    }

    /// Until when an image may still appear that was registered and not seen yet. A clock that was put back does not
    /// make it longer.
    pub fn may_appear_until(&self, now: Timestamp) -> Option<Timestamp> {
        let unseen = self.registration.as_ref().filter(|registration| !registration.seen)?;
        let open = now.duration_since(unseen.at).abs() < REGISTERING_FOR;
        open.then(|| unseen.at.checked_add(REGISTERING_FOR).unwrap_or(Timestamp::MAX))
    }

    /// When an import may be tried again: 1 minute after the first failure, twice as long after each, 6 hours at most.
    pub fn retry_at(&self) -> Option<Timestamp> {
        let exponent = self.failures.checked_sub(1)?.min(9);
        let pause = SignedDuration::from_mins(1 << exponent).min(SignedDuration::from_hours(6));
        self.last_failure?.checked_add(pause).ok()
    }

    /// Notes a failed import.
    pub fn fail(&mut self, message: String, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(now);
        self.failure = Some(message);
    }

    /// Forgets failures: it worked, or a person asks to try now.
    pub fn clear_failures(&mut self) {
        self.failures = 0;
        self.last_failure = None;
        self.failure = None;
    }
}

mod octal {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::opennebula::document::Permissions;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(permissions: &Permissions, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(permissions)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
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
