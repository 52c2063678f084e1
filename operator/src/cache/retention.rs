//! What the archive no longer needs. Pure.

use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use crate::imagelist::Sha512Digest;

/// How long archived versions stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// This many archived versions stay, however old.
    pub keep_versions: usize,
    /// Every archived version stays this long, however many there are.
    pub keep_for: SignedDuration,
}

/// The archived entries to remove, the oldest first: those beyond both limits, and none that `pinned` names.
///
/// A pinned version does not take the place of another one. `archived` is in any order.
pub fn select<'a>(
    archived: &'a [Entry],
    retention: &Retention,
    pinned: &[Sha512Digest],
    now: Timestamp,
) -> Vec<&'a Entry> {
    let mut newest_first: Vec<&Entry> = archived.iter().filter(|entry| !pinned.contains(&entry.digest)).collect();
    newest_first.sort_by(|a, b| b.archived_time.cmp(&a.archived_time).then_with(|| b.path.cmp(&a.path)));
    let beyond = newest_first.into_iter().skip(retention.keep_versions);
    let is_old = |entry: &&Entry| entry.archived_time.is_some_and(|time| now.duration_since(time) > retention.keep_for);
    let mut removed: Vec<&Entry> = beyond.filter(is_old).collect();
    removed.reverse();
    removed
}
