//! The persistent record of a subscription's lists. Pure.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::check::Checked;
use crate::api::ImageListSubscriptionStatus;
use crate::cache::{CacheError, StatePath};
use crate::fetch::Validator;
use crate::imagelist::ListVersion;
use crate::reconcile::exchange::DetachedSignature;
use crate::trust::{LastAccepted, Sha256Digest};

/// The number of older lists that stay in the record, whatever images they have.
pub(super) const MOST_OLDER: usize = 100;

/// The persistent record of a subscription's list: `state/lists/<namespace>/<name>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMemory {
    /// The last accepted list, against which rollback and replay are detected.
    pub last: LastAccepted,
    /// SHA-256 of the message.
    pub message: Sha256Digest,
    /// The validator (ETag or Last-Modified) of the fetched list. It is used only for the address of which `address` is
    /// the digest.
    pub validator: Option<Validator>,
    /// The detached signatures that are part of the message.
    #[serde(default)]
    pub beside: Vec<DetachedSignature>,
    /// SHA-256 of the address that the message was fetched from. The address itself may contain a secret.
    pub address: Sha256Digest,
    /// The value of `verify.acceptList` with which a list came into force. It applies once: while it is unchanged, the
    /// same message cannot be accepted with it again.
    #[serde(default)]
    pub taken: Option<Sha256Digest>,
    /// The lists that were in force before it, the newest first. Pins look for older versions in them.
    #[serde(default)]
    pub older: Vec<OlderList>,
}

/// A list that was in force before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OlderList {
    /// The record of its acceptance.
    pub last: LastAccepted,
    /// SHA-256 of its message.
    pub message: Sha256Digest,
}

impl ListMemory {
    /// The path of the record of a subscription.
    pub fn path(checked: &Checked) -> Result<StatePath, CacheError> {
        Ok(StatePath::new(["lists", checked.namespace.as_str(), checked.name.as_str()])?)
    }

    /// Whether the status has a newer list than this record; see [`is_behind`]. A list that a person took by `acceptList`
    /// may be older.
    pub(super) fn is_behind(&self, status: &ImageListSubscriptionStatus) -> bool {
        self.taken != Some(self.message) && is_behind(&self.last, status)
    }
}

/// Whether the status has a newer list than the volume: an older backup of the volume was restored. The list on the volume
/// is not in force then, as if the volume were lost, so that nothing goes back to it.
pub(super) fn is_behind(last: &LastAccepted, status: &ImageListSubscriptionStatus) -> bool {
    let Some(told) = &status.list else { return false };
    let (Ok(identifier), Ok(version)) = (told.identifier.parse(), told.version.parse::<ListVersion>()) else {
        return false;
    };
    last.identifier == identifier && told.created.0 > last.created && version.compare(&last.version) != Ordering::Less
}
