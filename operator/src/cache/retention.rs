//! Selects what the archive no longer needs. Pure.

use jiff::{SignedDuration, Timestamp};

use super::version::Entry;
use crate::imagelist::Sha512Digest;

/// How long archived versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// This many archived versions are kept, however old they are.
    pub keep_versions: usize,
    /// Every archived version is kept this long, however many there are.
    pub keep_for: SignedDuration,
}

/// The archived entries to remove, the oldest first: those beyond both limits that are not in `pinned`.
///
/// Pinned versions do not count towards `keep_versions`. `archived` may be in any order.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(number: u8, days_ago: i64) -> Entry {
        Entry {
            version: "1".parse().unwrap(),
            digest: Sha512Digest::from_bytes([number; 64]),
            path: number.to_string().into(),
            archived_time: Some(Timestamp::UNIX_EPOCH - SignedDuration::from_hours(24 * days_ago)),
        }
    }

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    #[test]
    fn a_version_goes_when_it_is_beyond_both() {
        let archived: Vec<Entry> = [(1, 40), (2, 31), (3, 20), (4, 1)].map(|(number, age)| entry(number, age)).into();
        let removed = |keep_versions, keep_for, pinned: &[u8]| -> Vec<u8> {
            let pinned: Vec<_> = pinned.iter().map(|number| Sha512Digest::from_bytes([*number; 64])).collect();
            let retention = Retention { keep_versions, keep_for: days(keep_for) };
            let removed = select(&archived, &retention, &pinned, Timestamp::UNIX_EPOCH);
            removed.iter().map(|entry| entry.digest.as_bytes()[0]).collect()
        };
        assert_eq!(removed(2, 30, &[]), [1, 2]);
        assert_eq!(removed(3, 30, &[]), [1]);
        assert_eq!(removed(0, 30, &[]), [1, 2]);
        assert_eq!(removed(0, 0, &[]), [1, 2, 3, 4]);
        assert_eq!(removed(2, 35, &[]), [1]);
        assert_eq!(removed(2, 30, &[1]), [2]);
        assert_eq!(removed(9, 0, &[]), [] as [u8; 0]);
    }

    proptest! {
        #[test]
        fn what_stays_is_enough_and_a_second_look_removes_nothing_more(
            ages in prop::collection::vec(0_i64..100, 0..20), keep_versions in 0_usize..10, keep_for in 0_i64..100,
        ) {
            let archived: Vec<Entry> = (0..).zip(&ages).map(|(number, age)| entry(number, *age)).collect();
            let retention = Retention { keep_versions, keep_for: days(keep_for) };
            let removed: Vec<Entry> = select(&archived, &retention, &[], Timestamp::UNIX_EPOCH).into_iter().cloned().collect();
            let stays: Vec<Entry> = archived.iter().filter(|entry| !removed.contains(entry)).cloned().collect();
            prop_assert!(stays.len() >= keep_versions.min(archived.len()));
            prop_assert!(removed.iter().all(|entry| stays.iter().all(|kept| kept.archived_time >= entry.archived_time)));
            prop_assert!(select(&stays, &retention, &[], Timestamp::UNIX_EPOCH).is_empty());
        }
    }
}
