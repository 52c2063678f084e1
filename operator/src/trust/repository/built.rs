//! The list that the tags of a message make.

use jiff::Timestamp;

use super::judgement::{Endorsement, Judged, judge};
use crate::imagelist::oci::{RepositoryMessage, TaggedManifest};
use crate::imagelist::{ImageRefusal, ListFormat, ListedImage, RefusedImage};
use crate::trust::clock::SKEW;
use crate::trust::list::Succession;
use crate::trust::{
    AcceptedTag, CosignKey, Refusal, RefusalReason, Sha256Digest, TagState, VerifiedList, VerifyRequest,
};

/// The list, and the tags that are not in it.
pub(super) struct Built {
    /// Its tags are those of the message, each `Listed`, `Kept` (refused) or `Withdrawn` (refused by a statement).
    pub(super) list: VerifiedList,
    pub(super) refusals: Vec<(String, Refusal)>,
}

/// A tag whose image can be described.
struct Found {
    image: ListedImage,
    created: Timestamp,
    endorsements: Vec<Endorsement>,
}

/// Judges every tag.
pub(super) fn build(bytes: &[u8], message: &RepositoryMessage, request: &VerifyRequest<'_>) -> Result<Built, Refusal> {
    let keys = request.cosign_keys();
    let (mut images, mut refused, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tags, mut endorsements) = (Vec::new(), Vec::new());
    let mut newest = Timestamp::UNIX_EPOCH;
    for tagged in &message.tags {
        match find(message, tagged, &keys, request) {
            Ok(found) => {
                newest = newest.max(found.created);
                tags.push(accepted(&found, tagged));
                images.push(found.image);
                endorsements.extend(found.endorsements);
            }
            Err((reason, refusal)) => {
                tags.extend(unaccepted(message, tagged, &refusal));
                refused.push(message.refused(tagged, reason, &refusal.message));
                refusals.push((tagged.shown(), refusal));
            }
        }
    }
    let list = listed(bytes, message, (images, refused, newest), endorsements, request)?;
    Ok(Built { list: VerifiedList { tags, ..list }, refusals })
}

fn listed(
    bytes: &[u8],
    message: &RepositoryMessage,
    (images, refused, newest): (Vec<ListedImage>, Vec<RefusedImage>, Timestamp),
    endorsements: Vec<Endorsement>,
    request: &VerifyRequest<'_>,
) -> Result<VerifiedList, Refusal> {
    let (mut signers, mut names, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
    for Endorsement { signer, names: name, key } in endorsements {
        if !signers.contains(&signer) {
            signers.push(signer);
            names.push(name);
            certificates.push(key);
        }
    }
    let nameless =
        || Refusal::new(RefusalReason::ListMalformed, "expected names that make an identifier, found others");
    let succession = match request.format {
        ListFormat::Oci(rule) if message.tags.iter().all(|tagged| tagged.tag.is_some()) => {
            Succession::Tags(rule.clone())
        }
        ListFormat::Oci(_) | ListFormat::Hepix | ListFormat::Checksums(_) | ListFormat::SimpleStreams(_) => {
            Succession::Pinned
        }
    };
    Ok(VerifiedList {
        list: message.list(images, refused, newest).ok_or_else(nameless)?,
        signers,
        names,
        certificates,
        required: request.policy.required(),
        message: Sha256Digest::of(bytes),
        payload: message.content_digest(),
        succession,
        tags: Vec::new(),
    })
}

/// The image of a tag, if it is endorsed. The signature is checked before anything in the manifest is looked at.
fn find(
    message: &RepositoryMessage,
    tagged: &TaggedManifest,
    keys: &[CosignKey],
    request: &VerifyRequest<'_>,
) -> Result<Found, (ImageRefusal, Refusal)> {
    let not_endorsed = |refusal: Refusal| (ImageRefusal::NotEndorsed(refusal.reason()), refusal);
    let endorsements = match judge(message, tagged, keys, request) {
        Judged::Endorsed(endorsements) => endorsements,
        Judged::Refused(refusal) => return Err(not_endorsed(refusal)),
    };
    let (image, created) = message.image(tagged).map_err(|error| {
        (ImageRefusal::ImageMalformed, Refusal::new(RefusalReason::ListMalformed, error.to_string()))
    })?;
    if created.duration_since(request.at) > SKEW {
        let found = format!("expected an artefact that exists already, found one created {created}, which lies ahead");
        return Err(not_endorsed(Refusal::new(RefusalReason::CreatedInFuture, found)));
    }
    Ok(Found { image, created, endorsements })
}

fn accepted(found: &Found, tagged: &TaggedManifest) -> AcceptedTag {
    AcceptedTag {
        identifier: found.image.identifier.clone(),
        tag: tagged.tag.clone(),
        digest: tagged.digest,
        created: found.created,
        keys: found.endorsements.iter().map(|one| one.key).collect(),
        state: TagState::Listed,
    }
}

fn unaccepted(message: &RepositoryMessage, tagged: &TaggedManifest, refusal: &Refusal) -> Option<AcceptedTag> {
    let state = if refusal.is_statement() { TagState::Withdrawn } else { TagState::Kept };
    let (tag, digest, created, keys) = (tagged.tag.clone(), tagged.digest, Timestamp::UNIX_EPOCH, Vec::new());
    Some(AcceptedTag { identifier: message.identifier(tagged).ok()?, tag, digest, created, keys, state })
}
