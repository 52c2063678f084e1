//! What was learned about bytes that a list identifies by SHA-256: the SHA-512 and the size of what was downloaded.

use std::sync::{Arc, OnceLock};

use super::exchange::{ListInForce, WithdrawnList};
use crate::cache::Volume;
use crate::digest::Sha256Digest;
use crate::imagelist::{ImageId, LearnedContent};
use crate::trust::AcceptedList;

/// What the volume has about bytes with this digest. If it cannot be read, they count as never downloaded.
pub(super) fn learned(volume: &Volume, digest: &Sha256Digest) -> Option<LearnedContent> {
    let learned = volume.learned(digest);
    learned.inspect_err(|error| tracing::warn!(%error, "what was learned of {digest} is not known")).ok()?
}

/// The lists, with what was learned about an image since the subscription's last pass.
pub(super) fn with_learned(volume: &Volume, list: Arc<ListInForce>, identifier: &ImageId) -> Arc<ListInForce> {
    let lacks = |accepted: &AcceptedList| {
        let mut images = accepted.list().images.iter().filter(|image| image.identifier == *identifier);
        images.any(|image| image.sha512().is_none())
    };
    if list.entry(identifier).is_none_or(|entry| entry.digest.sha256().is_none()) {
        return list;
    }
    let withdrawn = list.withdrawn.iter().map(|withdrawn| &withdrawn.accepted);
    if ![&list.accepted].into_iter().chain(&list.older).chain(withdrawn).any(|accepted| lacks(accepted)) {
        return list;
    }
    let complete = |accepted: &Arc<AcceptedList>| {
        if !lacks(accepted) {
            return Arc::clone(accepted);
        }
        let mut accepted = AcceptedList::clone(accepted);
        accepted.learn(Some(identifier), |digest| learned(volume, digest));
        Arc::new(accepted)
    };
    let withdrawn = |one: &WithdrawnList| WithdrawnList { accepted: complete(&one.accepted), ..one.clone() };
    Arc::new(ListInForce {
        accepted: complete(&list.accepted),
        older: list.older.iter().map(complete).collect(),
        withdrawn: list.withdrawn.iter().map(withdrawn).collect(),
        places: OnceLock::new(),
        digest: OnceLock::new(),
        ..ListInForce::clone(&list)
    })
}
