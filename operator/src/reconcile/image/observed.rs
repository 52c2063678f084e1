//! Everything that a plan is made from.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::targets::Targets;
use super::want::Want;
use crate::api::CachedImageStatus;
use crate::cache::{CacheError, Entries, JobKey, JobState, VerifiedBlob};
use crate::reconcile::exchange::{Desired, ListInForce};

/// Everything that a plan is made from.
pub(super) struct Observed {
    /// The status of the pass before.
    pub status: CachedImageStatus,
    /// The volume's directory. Paths in the status are relative to it.
    pub root: PathBuf,
    /// What the object of the subscription contains. The subscription's own pass may not have seen it yet.
    pub subscription: Subscription,
    /// The list in force of the image's subscription.
    pub list: Option<Arc<ListInForce>>,
    /// What is wanted according to that list.
    pub want: Want,
    /// The versions on the volume.
    pub entries: Entries,
    /// The bytes of the wanted version, if they are in the cache.
    pub blob: Option<VerifiedBlob>,
    /// The bytes of the published version.
    pub published: Option<VerifiedBlob>,
    /// The download of the wanted version.
    pub job: Option<JobState>,
    /// The download failed because of missing space, and is tried again before its time: there is space now, or a user
    /// requested it.
    pub space_again: bool,
    /// The download that an earlier pass started for this object.
    pub running: Option<JobKey>,
    /// The state of the image at targets.
    pub targets: Targets,
    /// The desired state of the pass before; `None` before the first pass after a start.
    pub desired: Option<Desired>,
    /// The object is deleted without waiting for its targets: the whole namespace is being deleted, and the targets or
    /// their Secrets are already gone.
    pub abandoned: bool,
    /// When that becomes true, unless the targets or Secrets come back.
    pub abandoned_from: Option<Timestamp>,
    /// Its namespace is being deleted, so that no object is created again.
    pub namespace_ends: bool,
    /// If the object is being deleted: until when its subscription may still be marked for deletion with it.
    pub alone_from: Option<Timestamp>,
    /// The error of reading the volume.
    pub trouble: Option<CacheError>,
}

/// What the object of the subscription contains, as far as images need it.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscription {
    /// It is being deleted.
    pub deleting: bool,
    /// Whether its images are archived when they are deleted; `None` if the object is gone or invalid.
    pub retire: Option<bool>,
    /// The targets that it names for its images; `None` if the object is gone or invalid.
    pub targets: Option<Vec<String>>,
}
