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
    /// The status that the pass before wrote.
    pub status: CachedImageStatus,
    /// The volume's directory, from which status tells paths.
    pub root: PathBuf,
    /// What the subscription's object says, which its pass may not have seen yet.
    pub subscription: Subscription,
    /// The list in force of the image's subscription.
    pub list: Option<Arc<ListInForce>>,
    /// What is wanted, by that list.
    pub want: Want,
    /// The versions on the volume.
    pub entries: Entries,
    /// The bytes of the wanted version, if they are in the cache already.
    pub blob: Option<VerifiedBlob>,
    /// The bytes of the version that is published.
    pub published: Option<VerifiedBlob>,
    /// The download of the wanted version.
    pub job: Option<JobState>,
    /// It failed for want of space, and that is worth another try before its time: there is some now, or a person asks.
    pub space_again: bool,
    /// The download that an earlier pass started for this object.
    pub running: Option<JobKey>,
    /// How it stands at targets.
    pub targets: Targets,
    /// What the pass before wanted of them, where there was one since the start.
    pub desired: Option<Desired>,
    /// Nobody waits for its targets any more: everything in the namespace goes, and what they need went first.
    pub abandoned: bool,
    /// When that will be so, unless what they need comes back.
    pub abandoned_from: Option<Timestamp>,
    /// Its namespace goes, so that nothing is made again.
    pub namespace_ends: bool,
    /// It is being deleted, and its subscription may be marked with it until then.
    pub alone_from: Option<Timestamp>,
    /// What could not be read on the volume.
    pub trouble: Option<CacheError>,
}

/// What a subscription's object says of its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscription {
    /// It is being deleted.
    pub deleting: bool,
    /// Whether its images are archived when they are deleted; `None` where it is gone or cannot be understood.
    pub retire: Option<bool>,
    /// The targets that it names for its images; `None` where it is gone or cannot be understood.
    pub targets: Option<Vec<String>>,
}
