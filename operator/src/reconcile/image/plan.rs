//! Plans the steps from what was observed. Pure, total and deterministic.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::check::Checked;
use super::observed::Observed;
use super::policy::{Hold, hold, is_leaving, is_retired, request};
use super::want::{Want, WantedVersion};
use crate::api::time;
use crate::cache::retention::{self, Retention};
use crate::cache::{Entries, Entry, JobKey, JobState, VerifiedBlob};
use crate::imagelist::{ContentDigest, ListVersion, Sha512Digest, SourceUrl};
use crate::reconcile::backoff::{next_try, spread};
use crate::reconcile::versions::is_content_of;

/// After this number of downloads of one (digest, address) with wrong bytes, no more are tried until the list changes
/// or a user requests it.
const MISMATCH_LIMIT: u32 = 3;
/// The longest wait between two tries if no subscription sets one.
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// The plan of a pass over an image.
#[derive(Debug)]
pub(super) struct Plan {
    /// The steps, in order. A step follows the steps that it needs.
    pub steps: Vec<Step>,
    /// The phase of the image.
    pub phase: Phase,
    /// How often it failed, and when it is tried again.
    pub tries: Tries,
}

/// The phase of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The wanted version is under its published path, or will be after the steps.
    Current,
    /// Its download is queued or running.
    Downloading {
        /// The bytes on the volume so far.
        bytes: u64,
        /// The size of the image in bytes.
        total: u64,
        /// The current speed.
        bytes_per_second: u64,
    },
    /// Its download failed. It is tried again later, or not at all.
    Failed {
        /// The reason: one word.
        reason: &'static str,
        /// What was expected and what was found.
        message: String,
    },
    /// It is wanted, but no new version is published for now.
    Held(Hold),
    /// The existing versions stay as they are.
    Unchanged,
    /// It is taken out of circulation.
    Out,
    /// The object is being deleted.
    Deleting,
}

/// How often a download failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// The number of failures in a row.
    pub failures: u32,
    /// The number of them with wrong bytes.
    pub mismatches: u32,
    /// The time of the last failure.
    pub last: Option<Timestamp>,
    /// The time of the next try.
    pub next: Option<Timestamp>,
}

impl Plan {
    /// Whether this plan removes the finalizer of an object that is being deleted.
    pub(super) fn lets_go(&self) -> bool {
        self.phase == Phase::Deleting && self.steps.iter().any(|step| matches!(step, Step::Finalize(false)))
    }
}

impl Tries {
    /// Whether nothing more is tried until the list changes or a user requests it.
    pub(super) fn are_exhausted(&self) -> bool {
        self.mismatches >= MISMATCH_LIMIT
    }
}

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Add the finalizer to the object, or remove it.
    Finalize(bool),
    /// Forget a download that failed, so that it is counted once.
    ForgetJob(JobKey),
    /// Cancel a download that the object no longer wants.
    CancelJob(JobKey),
    /// Start the download of the wanted version.
    StartDownload {
        /// The digest of the bytes.
        digest: ContentDigest,
        /// The number of bytes; `None` if it is not known before the server is asked.
        size: Option<u64>,
        /// The address of the bytes.
        url: SourceUrl,
    },
    /// Put verified bytes under the published path.
    Publish {
        /// `hv:version` of the image.
        version: ListVersion,
        /// The bytes.
        blob: VerifiedBlob,
        /// Whether the version returns from the archive.
        returns: bool,
    },
    /// Move a version to the archive.
    Archive(Entry),
    /// Remove a version that the archive no longer needs.
    RemoveArchived(Entry),
}

impl Step {
    /// Whether it changes which versions are available in the cache.
    pub(super) fn changes_cache(&self) -> bool {
        match self {
            Self::Publish { .. } | Self::Archive(_) => true,
            Self::Finalize(_)
            | Self::ForgetJob(_)
            | Self::CancelJob(_)
            | Self::StartDownload { .. }
            | Self::RemoveArchived(_) => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finalize(true) => f.write_str("hold the object until the image is archived"),
            Self::Finalize(false) => f.write_str("let the object go"),
            Self::ForgetJob(key) => write!(f, "forget the failed download from {}", key.url),
            Self::CancelJob(key) => write!(f, "stop the download from {}", key.url),
            Self::StartDownload { digest, size, url } => {
                let size = size.map(|size| format!("{size} bytes ")).unwrap_or_default();
                write!(f, "download {size}from {url} as {}…", digest.short())
            }
            Self::Publish { version, blob, returns } => {
                let verb = if *returns { "bring back" } else { "publish" };
                write!(f, "{verb} {version} ({}…)", blob.digest().short())
            }
            Self::Archive(entry) => write!(f, "archive {} ({}…)", entry.version, entry.digest.short()),
            Self::RemoveArchived(entry) => {
                write!(f, "remove {} ({}…) from the archive", entry.version, entry.digest.short())
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(if steps.is_empty() { "nothing to do".to_owned() } else { steps.join("; ") }.as_str())
    }
}

/// Makes the plan.
pub(super) fn plan(checked: &Checked, observed: &Observed, now: Timestamp) -> Plan {
    if checked.deleting {
        return deletion(checked, observed);
    }
    let mut steps = Vec::new();
    let retire = is_retired(checked, observed);
    if retire != checked.finalizer {
        steps.push(Step::Finalize(retire));
    }
    let mut tries = Tries::default();
    let phase = match &observed.want {
        Want::Image(wanted) => {
            tries = tries_so_far(checked, observed, wanted);
            bring_in(checked, observed, wanted, &mut tries, &mut steps, now)
        }
        Want::Kept { .. } | Want::Unclear { .. } => Phase::Unchanged,
        Want::Out { .. } => {
            steps.extend(observed.entries.endorsed.iter().cloned().map(Step::Archive));
            Phase::Out
        }
    };
    steps.extend(stale_job(checked, observed));
    steps.extend(beyond_retention(checked, observed, now));
    let twice = twice(observed, &steps);
    steps.extend(twice);
    Plan { steps, phase, tries }
}

/// The plan for an object that is being deleted. Its image is archived first if the policy says so, but not while the
/// subscription would create the object again.
fn deletion(checked: &Checked, observed: &Observed) -> Plan {
    let leaving = is_leaving(checked, observed);
    let mut steps: Vec<Step> = stale_job(checked, observed).into_iter().collect();
    if leaving {
        steps.extend(observed.entries.endorsed.iter().cloned().map(Step::Archive));
    }
    let held = leaving && observed.targets.hold(&observed.status.targets) && !observed.abandoned;
    // An object that would be created again keeps its finalizer until it is known that its subscription stays.
    let may_leave = !leaving && is_retired(checked, observed) && observed.alone_from.is_some();
    if checked.finalizer && !held && !may_leave {
        steps.push(Step::Finalize(false));
    }
    Plan { steps, phase: Phase::Deleting, tries: Tries::default() }
}

/// The failures in the status, if they are of the same bytes of the same list and no user requested a new try.
fn tries_so_far(checked: &Checked, observed: &Observed, wanted: &WantedVersion) -> Tries {
    let status = &observed.status;
    let same = status.image.as_ref().is_some_and(|before| {
        is_content_of(&wanted.image, before)
            && before.uri == wanted.image.uri.to_string()
            && before.list_version == wanted.list_version.as_str()
    });
    let request = request(checked, observed);
    let asked = request.is_some() && request != status.last_handled_reconcile_at;
    if !same || asked {
        return Tries::default();
    }
    Tries {
        failures: status.failures.unwrap_or(0),
        mismatches: status.mismatches.unwrap_or(0),
        last: status.last_failure_time.as_ref().map(|time| time.0),
        next: status.next_retry_time.as_ref().map(|time| time.0),
    }
}

/// The steps that publish the wanted version. The previous version stays until the wanted one is published.
fn bring_in(
    checked: &Checked,
    observed: &Observed,
    wanted: &WantedVersion,
    tries: &mut Tries,
    steps: &mut Vec<Step>,
    now: Timestamp,
) -> Phase {
    let is_wanted =
        |entry: &&Entry| wanted.image.sha512() == Some(entry.digest) && entry.version == wanted.image.version;
    let published = observed.entries.endorsed.iter().any(|entry| is_wanted(&entry));
    let hold = hold(checked, observed);
    match (&observed.blob, published) {
        (Some(_), true) => {}
        (_, false) if let Some(hold) = hold => return Phase::Held(hold),
        (Some(blob), false) => {
            let returns = observed.entries.expired.iter().any(|entry| is_wanted(&entry));
            let version = wanted.image.version.clone();
            steps.push(Step::Publish { version, blob: blob.clone(), returns });
        }
        (None, _) => return fetch(checked, observed, wanted, tries, steps, hold, now),
    }
    let others = observed.entries.endorsed.iter().filter(|entry| !is_wanted(entry));
    steps.extend(others.cloned().map(Step::Archive));
    *tries = Tries::default();
    Phase::Current
}

fn fetch(
    checked: &Checked,
    observed: &Observed,
    wanted: &WantedVersion,
    tries: &mut Tries,
    steps: &mut Vec<Step>,
    hold: Option<Hold>,
    now: Timestamp,
) -> Phase {
    let key = wanted.job(checked, observed.running.as_ref(), observed.status.failures.unwrap_or_default());
    match observed.job.as_ref() {
        // `stale_job` cancels it, because it is not wanted for now.
        Some(JobState::Queued | JobState::Running { .. }) if hold.is_some() => {}
        Some(JobState::Queued) => return queued(wanted),
        Some(&JobState::Running { bytes, total, bytes_per_second }) => {
            return Phase::Downloading { bytes, total, bytes_per_second };
        }
        Some(JobState::Failed(error)) => {
            steps.push(Step::ForgetJob(key));
            count_failure(observed, wanted, tries, error.is_mismatch(), now);
            let has_another = (tries.failures as usize) < wanted.addresses.len() && !tries.are_exhausted();
            if has_another && hold.is_none() {
                return start(wanted, tries, steps);
            }
            return Phase::Failed { reason: error.reason(), message: error.to_string() };
        }
        // The download is done, but its bytes are gone from the volume: somebody removed them, so they are downloaded
        // again.
        Some(JobState::Done(_)) => steps.push(Step::ForgetJob(key)),
        None => {}
    }
    if let Some(hold) = hold {
        return Phase::Held(hold);
    }
    let waits = tries.next.is_some_and(|next| next > now) && !observed.space_again;
    if tries.are_exhausted() || waits {
        return failed_before(observed);
    }
    start(wanted, tries, steps)
}

/// Starts the download from the address that is next.
fn start(wanted: &WantedVersion, tries: &Tries, steps: &mut Vec<Step>) -> Phase {
    let (digest, size) = (wanted.image.content(), wanted.image.size());
    steps.push(Step::StartDownload { digest, size, url: wanted.address(tries.failures).clone() });
    queued(wanted)
}

fn queued(wanted: &WantedVersion) -> Phase {
    Phase::Downloading { bytes: 0, total: wanted.image.size().unwrap_or_default(), bytes_per_second: 0 }
}

fn count_failure(observed: &Observed, wanted: &WantedVersion, tries: &mut Tries, mismatch: bool, now: Timestamp) {
    tries.failures = tries.failures.saturating_add(1);
    tries.mismatches = tries.mismatches.saturating_add(u32::from(mismatch));
    tries.last = Some(time(now).0);
    let cap = observed.list.as_deref().map_or(LONGEST_WAIT, |list| list.interval);
    let next = next_try(tries.failures, now, cap, spread(wanted.image.identifier.as_str()));
    tries.next = (!tries.are_exhausted()).then(|| time(next).0);
}

/// The failure of an earlier pass, while the next try is not due.
fn failed_before(observed: &Observed) -> Phase {
    const KNOWN: [&str; 8] = [
        "FetchFailed",
        "ChecksumMismatch",
        "SizeMismatch",
        "NoSpace",
        "VolumeLocked",
        "StateCorrupt",
        "ForeignFile",
        "StorageOperationFailed",
    ];
    let cached = observed.status.conditions.iter().find(|condition| condition.type_ == "Cached");
    let reason = cached.and_then(|before| KNOWN.into_iter().find(|reason| *reason == before.reason));
    let message = cached.map(|before| before.message.clone()).unwrap_or_default();
    Phase::Failed { reason: reason.unwrap_or("FetchFailed"), message }
}

/// The step that cancels the download of a version that is no longer wanted, or not for now. The partial download
/// stays, and can be resumed.
fn stale_job(checked: &Checked, observed: &Observed) -> Option<Step> {
    let running = observed.running.clone()?;
    let still = match &observed.want {
        Want::Image(wanted) if hold(checked, observed).is_none() => {
            wanted.image.has(&running.digest) && wanted.addresses.contains(&running.url)
        }
        Want::Image(_) | Want::Kept { .. } | Want::Unclear { .. } | Want::Out { .. } => false,
    };
    (!still || checked.deleting).then_some(Step::CancelJob(running))
}

/// How long archived versions are kept: the image's own retention has priority over its subscription's. `None` if no list
/// is in force; then all stay.
pub(super) fn retention_of(checked: &Checked, observed: &Observed) -> Option<Retention> {
    let list = observed.list.as_deref()?;
    Some(checked.retention.unwrap_or(list.retention))
}

/// The steps that remove versions from the archive.
fn beyond_retention(checked: &Checked, observed: &Observed, now: Timestamp) -> Vec<Step> {
    let Some(limits) = retention_of(checked, observed) else { return Vec::new() };
    let pinned: Vec<Sha512Digest> = match &observed.want {
        Want::Image(wanted) => wanted.image.sha512().into_iter().collect(),
        Want::Kept { .. } | Want::Unclear { .. } | Want::Out { .. } => Vec::new(),
    };
    let Entries { endorsed, expired } = &observed.entries;
    let is_endorsed = |entry: &Entry| endorsed.iter().any(|other| other.is_version_of(entry));
    let archived: Vec<Entry> = expired.iter().filter(|entry| !is_endorsed(entry)).cloned().collect();
    let removed = retention::select(&archived, &limits, &pinned, now);
    removed.into_iter().cloned().map(Step::RemoveArchived).collect()
}

/// The steps that remove versions from the archive that are also endorsed and stay so.
fn twice(observed: &Observed, steps: &[Step]) -> Vec<Step> {
    let leaves = |entry: &&Entry| steps.iter().any(|step| matches!(step, Step::Archive(other) if other == *entry));
    let stay: Vec<&Entry> = observed.entries.endorsed.iter().filter(|entry| !leaves(entry)).collect();
    let twice = observed.entries.expired.iter().filter(|entry| stay.iter().any(|other| other.is_version_of(entry)));
    twice.cloned().map(Step::RemoveArchived).collect()
}
