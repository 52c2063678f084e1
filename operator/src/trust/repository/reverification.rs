//! Verifies the stored message of a repository again.

use super::built::{Built, build};
use super::settle;
use crate::imagelist::ListedImage;
use crate::imagelist::oci::{RepositoryMessage, TaggedManifest};
use crate::trust::{
    AcceptedList, AcceptedTag, CredentialKind, EndorserRule, LastAccepted, Refusal, RefusalReason, Reverification,
    Sha256Digest, TagState, VerifiedList, VerifyRequest,
};

/// Verifies a stored message again. A tag that is no longer endorsed keeps its image and freezes the list; a tag whose
/// signers were revoked leaves the list. If no other tag is left, the list is withdrawn. A tag that is endorsed by now,
/// because an endorser got a key, enters.
pub(in crate::trust) fn reverify(message: &[u8], last: &LastAccepted, request: &VerifyRequest<'_>) -> Reverification {
    let broken = |reason, message: String| Reverification::Broken(Refusal::new(reason, message));
    let read = match RepositoryMessage::read(message) {
        Ok(read) => read,
        Err(error) => return broken(RefusalReason::ListMalformed, error.to_string()),
    };
    if read.content_digest() != last.payload {
        let found = format!("expected the stored list with the payload {}, found another", last.payload);
        return broken(RefusalReason::MessageDigestMismatch, found);
    }
    let Built { mut list, refusals } = match build(message, &read, request) {
        Ok(built) => built,
        Err(refusal) => return Reverification::Broken(refusal),
    };
    let revoked = revoked_keys(request);
    let mut before = last.tags.clone();
    for tag in &mut before {
        if tag.state != TagState::Withdrawn && is_revoked(tag, &revoked, list.required) {
            tag.state = TagState::Withdrawn;
        }
    }
    let (kept, withdrawn) = restore(&mut list, &read, &before);
    settle(&mut list, &before, false);
    let refusal_of = |tagged: &TaggedManifest| {
        refusals.iter().find(|(shown, _)| *shown == tagged.shown()).map(|(_, refusal)| refusal.clone())
    };
    let frozen = kept.first().and_then(|tagged| refusal_of(tagged));
    if frozen.is_some() || list.list.images.is_empty() {
        (list.signers, list.certificates) = (last.signers.clone(), last.certificates.clone());
    }
    let is_empty = list.list.images.is_empty();
    if is_empty {
        list.list.images = withdrawn;
    }
    let accepted = AcceptedList { verified: list, accepted: last.accepted, revoked: last.revoked.clone() };
    match frozen {
        _ if is_empty => Reverification::Withdrawn(accepted, stated(&before)),
        Some(refusal) => Reverification::Frozen(accepted, refusal),
        None => Reverification::InForce(accepted),
    }
}

/// Puts the images back that were accepted and are no longer endorsed. Returns their tags, and the images of the tags
/// whose signers were revoked, which are taken out.
fn restore<'m>(
    list: &mut VerifiedList,
    read: &'m RepositoryMessage,
    before: &[AcceptedTag],
) -> (Vec<&'m TaggedManifest>, Vec<ListedImage>) {
    let (mut kept, mut withdrawn) = (Vec::new(), Vec::new());
    for tagged in &read.tags {
        let Ok((image, _)) = read.image(tagged) else { continue };
        let of_image = |tag: &&AcceptedTag| tag.identifier == image.identifier && tag.digest == tagged.digest;
        let Some(old) = before.iter().find(of_image) else { continue };
        let found = list.tags.iter_mut().find(|tag| tag.identifier == image.identifier);
        let Some(found) = found else { continue };
        match (old.state, found.state) {
            (TagState::Listed, TagState::Kept | TagState::Withdrawn) => {
                *found = old.clone();
                list.list.refused.retain(|refused| refused.identifier != image.identifier.as_str());
                list.list.images.push(image);
                kept.push(tagged);
            }
            (TagState::Withdrawn, TagState::Kept | TagState::Withdrawn) => withdrawn.push(image),
            (TagState::Listed | TagState::Kept | TagState::Withdrawn, _) => {}
        }
    }
    let order: Vec<_> = read.tags.iter().filter_map(|tagged| read.identifier(tagged).ok()).collect();
    list.list.images.sort_by_key(|image| order.iter().position(|identifier| *identifier == image.identifier));
    (kept, withdrawn)
}

/// The keys that an endorser of the namespace marks as revoked.
fn revoked_keys(request: &VerifyRequest<'_>) -> Vec<Sha256Digest> {
    let marked = request.policy.endorsers().iter().flat_map(EndorserRule::revoked_credentials);
    let digest = |kind: &CredentialKind| match kind {
        CredentialKind::Cosign(key) => Some(key.digest()),
        CredentialKind::X509 { .. } | CredentialKind::OpenPgp(_) => None,
    };
    marked.chain(request.revoked).filter_map(digest).collect()
}

/// Whether keys that signed an artefact were revoked, and too few are left.
fn is_revoked(tag: &AcceptedTag, revoked: &[Sha256Digest], required: usize) -> bool {
    let left = tag.keys.iter().filter(|key| !revoked.contains(key)).count();
    left < tag.keys.len() && left < required
}

fn stated(before: &[AcceptedTag]) -> Refusal {
    let key = before.iter().find(|tag| tag.state == TagState::Withdrawn).and_then(|tag| tag.keys.first());
    let name = key.map(|key| format!("cosign:{}", key.digits())).unwrap_or_default();
    let message = format!("an endorser calls the credential of {name} revoked");
    Refusal::new(RefusalReason::EndorserNotTrusted, message).about(name, 0).stated()
}
