//! What a list of a repository may replace. Each tag is compared with what was accepted of it before.

use jiff::Timestamp;

use crate::imagelist::{ImageId, ImageRefusal, ListVersion, RefusedImage};
use crate::trust::list::Succession;
use crate::trust::{AcceptedTag, RefusalReason, TagState, VerifiedList};

/// The most tags that are remembered. Those of the newest artefacts stay.
const MOST_REMEMBERED: usize = 1000;

/// Compares the tags of a list with those that were accepted before.
///
/// * An artefact that is older than the accepted one of its tag, or another one of the same time, is refused; the
///   accepted one stays. `is_taken` lets it pass.
/// * A tag that is not endorsed is refused, and the accepted artefact stays.
/// * Nothing stays of an artefact whose signers were revoked: its tag is left out, and any endorsed artefact may take its
///   place.
/// * A tag that is gone from the repository is a refused image, and the accepted artefact stays: the list of tags is not
///   signed, so this is no statement of an endorser. A tag that the subscription no longer takes is left out.
pub(in crate::trust) fn settle(list: &mut VerifiedList, before: &[AcceptedTag], is_taken: bool) {
    let found = std::mem::take(&mut list.tags);
    let mut tags: Vec<AcceptedTag> = Vec::new();
    for tag in found {
        let old = before.iter().find(|old| old.identifier == tag.identifier);
        let revoked = old.is_none_or(|old| old.state == TagState::Withdrawn);
        let kept = |old: &AcceptedTag| AcceptedTag { state: TagState::Kept, ..old.clone() };
        match (tag.state, old) {
            (TagState::Listed, Some(old)) if !revoked && !is_taken => match went_back(list, &tag, old) {
                Some((reason, message)) => {
                    refuse(list, &tag.identifier, reason, message);
                    tags.push(kept(old));
                }
                None => tags.push(tag),
            },
            (TagState::Listed, _) => tags.push(tag),
            (TagState::Kept | TagState::Withdrawn, Some(old)) if !revoked => tags.push(kept(old)),
            (TagState::Kept, None) => {}
            (TagState::Kept | TagState::Withdrawn, old) => {
                list.list.refused.retain(|refused| refused.identifier != tag.identifier.as_str());
                tags.extend(old.cloned());
            }
        }
    }
    let gone = before.iter().filter(|old| tags.iter().all(|tag| tag.identifier != old.identifier));
    let gone: Vec<AcceptedTag> = gone
        .map(|old| match old.state {
            TagState::Listed | TagState::Kept => AcceptedTag { state: TagState::Kept, ..old.clone() },
            TagState::Withdrawn => old.clone(),
        })
        .collect();
    let stay = gone.iter().filter(|tag| tag.state == TagState::Kept && is_taken_still(&list.succession, tag));
    list.list.refused.extend(stay.map(|tag| RefusedImage {
        identifier: tag.identifier.to_string(),
        reason: ImageRefusal::TagGone,
        message: "the repository has no such tag now, which no signature says; what is there stays".to_owned(),
    }));
    tags.extend(gone);
    tags.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.identifier.cmp(&other.identifier)));
    tags.truncate(MOST_REMEMBERED);
    list.tags = tags;
    date(list);
}

/// Whether the subscription takes a tag that was accepted before.
fn is_taken_still(succession: &Succession, tag: &AcceptedTag) -> bool {
    match succession {
        Succession::Tags(rule) => rule.takes(tag.tag.as_ref()),
        Succession::Whole | Succession::Pinned => false,
    }
}

/// Why the artefact of a tag may not follow the accepted one.
fn went_back(list: &VerifiedList, tag: &AcceptedTag, old: &AcceptedTag) -> Option<(RefusalReason, String)> {
    if list.succession == Succession::Pinned || tag.digest == old.digest {
        return None;
    }
    let (found, before) = (tag.created, old.created);
    let message = format!("expected an artefact created after {before}, found {} created {found}", tag.digest);
    match found.cmp(&before) {
        std::cmp::Ordering::Less => Some((RefusalReason::VersionRollback, message)),
        std::cmp::Ordering::Equal => Some((RefusalReason::Replay, message)),
        std::cmp::Ordering::Greater => None,
    }
}

/// Makes an image of the list a refused one.
fn refuse(list: &mut VerifiedList, identifier: &ImageId, reason: RefusalReason, message: String) {
    list.list.images.retain(|image| image.identifier != *identifier);
    let (identifier, reason) = (identifier.to_string(), ImageRefusal::NotEndorsed(reason.as_str()));
    list.list.refused.push(RefusedImage { identifier, reason, message });
}

/// The list has the time of its newest image. A list without images keeps its time.
fn date(list: &mut VerifiedList) {
    let listed = list.tags.iter().filter(|tag| tag.state == TagState::Listed).map(|tag| tag.created);
    let newest: Option<Timestamp> = listed.max();
    if let Some((created, version)) = newest.and_then(|created| Some((created, ListVersion::of_time(created).ok()?))) {
        (list.list.created, list.list.version) = (created, version);
    }
}
