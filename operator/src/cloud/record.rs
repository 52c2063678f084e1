//! The record of what was published of one image at one target, kept on the volume between passes.

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{CloudImageId, Reason};
use crate::imagelist::{ImageId, Sha512Digest};

/// The record of what was published of one image at one target. Anyone who may change an image can forge its
/// attributes, but not this record. `I` is the id of an image in the cloud, `M` the metadata that the site controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "I: Deserialize<'de>, M: Deserialize<'de>"))]
pub struct Record<I, M> {
    /// Images that were registered or adopted and still exist in the cloud.
    pub images: Vec<PublishedImage<I>>,
    /// The site's metadata of the current image, as last seen.
    pub metadata: Option<M>,
    /// When the metadata was last seen to change.
    pub seen: Option<Timestamp>,
    /// The last registration that was started. It is kept until its image is in circulation, or everything is out of
    /// circulation.
    pub registration: Option<Registration<I>>,
    /// The number of successive failed imports.
    pub failures: u32,
    /// The time of the last failure.
    pub last_failure: Option<Timestamp>,
    /// The message of the last failure.
    pub failure: Option<String>,
    /// The reason of the last failure, if it is not that the cloud could not import the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<Reason>,
}

/// A registration. It is stored before it is sent, because its response may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration<I> {
    /// When it was sent.
    pub at: Timestamp,
    /// The digest of the version.
    pub sha512: Sha512Digest,
    /// Whether there was a response, or its image was seen in the pool. If not, the image may still appear.
    pub seen: bool,
    /// The id that the operator chose for the image, in a cloud that accepts one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<I>,
    /// The digest of the bytes that are sent, which is another one if the image was converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sha512Digest>,
}

impl<I> Registration<I> {
    /// A registration that is about to be sent, in a cloud that chooses the id.
    pub fn new(sha512: Sha512Digest, now: Timestamp) -> Self {
        Self { at: now, sha512, seen: false, id: None, sent: None }
    }
}

/// How long a server may continue with a registration after the client stopped waiting.
const REGISTERING_FOR: SignedDuration = SignedDuration::from_mins(10);

/// An image of this operator in a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedImage<I> {
    /// Its id.
    pub id: I,
    /// When it was made, in seconds since 1970 (`REGTIME` in OpenNebula); `None` until it was first seen in the cloud.
    /// The id and the time together distinguish this cloud from a rebuilt one.
    pub registered: Option<i64>,
    /// The version's digest.
    pub sha512: Sha512Digest,
    /// Whether it was seen to be out of circulation, except perhaps for its owner. Then it does not matter if it is
    /// hidden later.
    #[serde(default)]
    pub retired: bool,
}

impl<I, M> Default for Record<I, M> {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            metadata: None,
            seen: None,
            registration: None,
            failures: 0,
            last_failure: None,
            failure: None,
            failure_reason: None,
        }
    }
}

/// The record in the form in which it is stored, for any cloud.
pub type StoredRecord = Record<CloudImageId, serde_json::Value>;

impl StoredRecord {
    /// The record in the form of one cloud. Fails if it is of another kind of cloud.
    pub fn typed<I: DeserializeOwned, M: DeserializeOwned>(&self) -> Result<Record<I, M>, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(self)?)
    }
}

impl<I: Copy + Into<CloudImageId>, M: Serialize> Record<I, M> {
    /// The record in the form in which it is stored. Fails if the metadata cannot be JSON.
    pub fn stored(&self) -> Result<StoredRecord, serde_json::Error> {
        let image = |image: &PublishedImage<I>| PublishedImage {
            id: image.id.into(),
            registered: image.registered,
            sha512: image.sha512,
            retired: image.retired,
        };
        let registration = |registration: &Registration<I>| Registration {
            at: registration.at,
            sha512: registration.sha512,
            seen: registration.seen,
            id: registration.id.map(Into::into),
            sent: registration.sent,
        };
        Ok(Record {
            images: self.images.iter().map(image).collect(),
            metadata: self.metadata.as_ref().map(serde_json::to_value).transpose()?,
            seen: self.seen,
            registration: self.registration.as_ref().map(registration),
            failures: self.failures,
            last_failure: self.last_failure,
            failure: self.failure.clone(),
            failure_reason: self.failure_reason,
        })
    }
}

impl<I, M> Record<I, M> {
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
        self.failure_reason = None;
    }

    /// Records a failure with another reason.
    pub fn fail_as(&mut self, reason: Reason, message: String, now: Timestamp) {
        self.fail(message, now);
        self.failure_reason = Some(reason).filter(|reason| *reason != Reason::ImportFailed);
    }

    /// Forgets failures, because it succeeded or a user asked to try now.
    pub fn clear_failures(&mut self) {
        self.failures = 0;
        self.last_failure = None;
        self.failure = None;
        self.failure_reason = None;
    }
}

/// Stores records persistently. Called before the first change of an image, and again when one was registered. If it
/// fails, the image is not changed.
pub trait Keeper: Send + Sync {
    /// Replaces the record of this identifier.
    fn keep(&self, identifier: &ImageId, record: &StoredRecord) -> Result<(), String>;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn pauses_grow_to_six_hours() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut record = StoredRecord::default();
        assert_eq!(record.retry_at(), None);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            record.fail("no".to_owned(), now);
            pauses.push(record.retry_at().unwrap().duration_since(now).as_mins());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        record.clear_failures();
        assert_eq!(record, StoredRecord::default());
    }

    #[test]
    fn a_record_has_the_same_text_in_every_form() {
        for id in ["7", "\"858a817e-0ca2-473f-89d3-d5bdfc51968e\""] {
            let text = format!(
                r#"{{"images":[{{"id":{id},"registered":5,"sha512":"{digest}","retired":false}}],"metadata":{{"uid":2}},"registration":{{"at":"2026-11-22T00:00:00Z","sha512":"{digest}","seen":true}}}}"#,
                digest = "0".repeat(128)
            );
            let stored: StoredRecord = serde_json::from_str(&text).unwrap();
            let kept = serde_json::to_value(&stored).unwrap();
            let typed = match &stored.images[0].id {
                CloudImageId::Number(_) => {
                    assert!(stored.typed::<uuid::Uuid, serde_json::Value>().is_err());
                    stored.typed::<u32, BTreeMap<String, u32>>().unwrap().stored().unwrap()
                }
                CloudImageId::Uuid(_) => {
                    assert!(stored.typed::<u32, serde_json::Value>().is_err());
                    stored.typed::<uuid::Uuid, BTreeMap<String, u32>>().unwrap().stored().unwrap()
                }
            };
            assert_eq!(serde_json::to_value(&typed).unwrap(), kept);
        }
    }
}
