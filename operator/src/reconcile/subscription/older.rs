//! Which older lists stay in the record of a subscription, and which of them pins may use. Pure.

use std::collections::BTreeSet;

use super::memory::{ListMemory, MOST_OLDER, OlderList};
use super::stored::Before;
use crate::imagelist::{ImageId, Sha512Digest};
use crate::reconcile::exchange::KeptList;
use crate::trust::{AcceptedList, LastAccepted, Refusal, Sha256Digest};

/// The maximum number of older lists in the record, with those that versions on the volume need.
const MOST_NEEDED: usize = 300;

/// The lists that no pin needs to go back to a version on the volume, by the digests of their messages: of each version,
/// only the newest list that has it is needed. `older` are the lists that were read, the newest first. If it is not
/// known what is on the volume, every list may be needed.
pub(super) fn unneeded(
    on_volume: Option<&BTreeSet<(ImageId, Sha512Digest)>>,
    before: &Before,
    older: &[AcceptedList],
) -> BTreeSet<Sha256Digest> {
    let Some(mut left) = on_volume.cloned() else { return BTreeSet::new() };
    let before = match before {
        Before::InForce(list) | Before::Frozen(list, _) => Some(list),
        Before::None | Before::Withdrawn(..) => None,
    };
    let mut unneeded = BTreeSet::new();
    for list in before.into_iter().chain(older) {
        let images = &list.list().images;
        let new = images
            .iter()
            .filter(|image| image.sha512().is_some_and(|sha512| left.remove(&(image.identifier.clone(), sha512))));
        if new.count() == 0 {
            unneeded.insert(list.message_digest());
        }
    }
    unneeded
}

/// The older lists after an import: the list in force so far, then those before it. Beyond [`MOST_OLDER`], those that are
/// not needed leave the record. A list that could not be read stays.
pub(super) fn older_after(memory: &ListMemory, unneeded: &BTreeSet<Sha256Digest>) -> Vec<OlderList> {
    let so_far = OlderList { last: memory.last.clone(), message: memory.message };
    let all = [so_far].into_iter().chain(memory.older.iter().cloned()).enumerate();
    let stays = all.filter(|(nth, older)| *nth < MOST_OLDER || !unneeded.contains(&older.message));
    stays.map(|(_, older)| older).take(MOST_NEEDED).collect()
}

/// The older lists without those that a revoked signer signed. A list that is not read now counts as such if it has a
/// certificate of one that was withdrawn.
pub(super) fn kept(older: Vec<OlderList>, withdrawn: &[(AcceptedList, Refusal)]) -> Vec<KeptList> {
    let revoked: BTreeSet<Sha256Digest> =
        withdrawn.iter().flat_map(|(list, _)| list.last_accepted().certificates).collect();
    let stays = |list: &LastAccepted| {
        list.revoked.is_empty() && !list.certificates.iter().any(|certificate| revoked.contains(certificate))
    };
    let kept = older.into_iter().map(|older| older.last).filter(stays);
    kept.map(|list| KeptList { version: list.version, created: list.created }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures::{IMAGE, digest, list, listed, now};

    fn accepted(version: u8, image: u8) -> AcceptedList {
        AcceptedList::for_tests(list(version, vec![listed(IMAGE, image)]), now())
    }

    fn recorded(list: &AcceptedList) -> OlderList {
        OlderList { last: list.last_accepted(), message: list.message_digest() }
    }

    #[test]
    fn a_list_that_a_version_on_the_volume_needs_stays_in_the_record() {
        // Lists 150 to 1, the newest first. Those up to 20 have version 1 of the image, the others version 2.
        let lists: Vec<AcceptedList> = (1..=150).rev().map(|n| accepted(n, if n <= 20 { 1 } else { 2 })).collect();
        let newest = accepted(151, 2);
        let memory = ListMemory {
            last: newest.last_accepted(),
            message: newest.message_digest(),
            validator: None,
            beside: Vec::new(),
            address: newest.message_digest(),
            taken: None,
            older: lists.iter().map(recorded).collect(),
        };
        let before = Before::InForce(newest);
        let on_volume = |versions: &[u8]| versions.iter().map(|n| (IMAGE.parse().unwrap(), digest(*n))).collect();
        let after = |versions: &[u8]| {
            let older = older_after(&memory, &unneeded(Some(&on_volume(versions)), &before, &lists));
            older.iter().map(|older| older.last.version.to_string()).collect::<Vec<_>>()
        };
        let without = after(&[]);
        assert_eq!((without.len(), without[0].as_str(), without[99].as_str()), (100, "151", "52"));
        assert_eq!(after(&[2]), without, "the newest list has it");
        let with = after(&[1, 2, 3]);
        assert_eq!((&with[..100], &with[100..]), (&without[..], &["20".to_owned()][..]), "the newest list that has it");
        assert_eq!(older_after(&memory, &unneeded(None, &before, &lists)).len(), 151, "nothing is known");
        let unread = older_after(&memory, &unneeded(Some(&BTreeSet::new()), &before, &lists[..140]));
        assert_eq!(unread.len(), 110, "the last ten could not be read");
    }
}
