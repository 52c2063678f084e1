//! How a list that was accepted earlier stands now.

use super::endorsement::{self, Group, Times};
use super::message::SignedMessage;
use super::verify::{Payload, read_payload};
use super::{AcceptedList, LastAccepted, Refusal, RefusalReason, Sha256Digest, Standing, VerifiedList, VerifyRequest};

/// Verifies a stored message again. The certificates' dates are judged at the time of its acceptance, everything else
/// at `request.at`.
///
/// What somebody says withdraws the list (a CA revoked a certificate on a signer's path, a person an endorser or a
/// credential), where without that signer too few are left. What is missing or old only freezes it. The list's own
/// expiry is not asked here.
pub fn standing(message: &[u8], last: &LastAccepted, request: &VerifyRequest<'_>) -> Standing {
    let proven = match SignedMessage::read(message).and_then(SignedMessage::prove) {
        Ok(proven) => proven,
        Err(refusal) => return Standing::Broken(refusal),
    };
    let payload = match read_payload(&proven) {
        Ok(payload) if payload.digest == last.payload => payload,
        Ok(payload) => return Standing::Broken(other_bytes(payload.digest, last)),
        Err(refusal) => return Standing::Broken(refusal),
    };
    let times = Times { path: last.accepted, crls: request.at };
    let groups = endorsement::judge(&proven.signers, request, times);
    let counted = endorsement::assign(&groups);
    let required = request.policy.required();
    if counted.len() >= required {
        let verified = payload.verified(&counted, required, message);
        return Standing::InForce(AcceptedList { verified, accepted: last.accepted });
    }
    let stands = remembered(payload, last, &groups, required, message);
    let signed: Vec<&Group<'_>> = groups.iter().filter(|group| signed_then(group, last)).collect();
    let statements: Vec<Refusal> = signed.iter().filter_map(|group| statement(group, request)).collect();
    let left = signed.len() - statements.len();
    match statements.into_iter().next() {
        Some(refusal) if left < required => Standing::Withdrawn(stands, refusal),
        Some(_) | None => Standing::Frozen(stands, endorsement::missing(&groups, &counted, required)),
    }
}

fn other_bytes(found: Sha256Digest, last: &LastAccepted) -> Refusal {
    let message = format!("expected the stored list with the payload {}, found {found}", last.payload);
    Refusal::new(RefusalReason::SignatureInvalid, message)
}

/// Whether this signer was one of those for whom the list was accepted.
fn signed_then(group: &Group<'_>, last: &LastAccepted) -> bool {
    let Some(judgement) = group.best() else { return false };
    let now = judgement.signer();
    last.signers.is_empty() || last.signers.iter().any(|then| then.subject == now.subject && then.issuer == now.issuer)
}

/// What somebody says against a signer: in every way in which it could count, or as a person's word in any.
fn statement(group: &Group<'_>, request: &VerifyRequest<'_>) -> Option<Refusal> {
    let by_a_person = group.judgements.iter().find_map(|judgement| judgement.revoked_by_a_person(request));
    let refusals = || group.judgements.iter().filter_map(|judgement| judgement.outcome.as_ref().err());
    by_a_person.or_else(|| refusals().find(|refusal| refusal.is_statement()).cloned())
}

/// The list as it was accepted, with the signers of then.
fn remembered(
    payload: Payload,
    last: &LastAccepted,
    groups: &[Group<'_>],
    required: usize,
    message: &[u8],
) -> AcceptedList {
    let best: Vec<_> = groups.iter().filter_map(Group::best).collect();
    let verified = payload.verified(&best, required, message);
    let signers = if last.signers.is_empty() { verified.signers } else { last.signers.clone() };
    AcceptedList { verified: VerifiedList { signers, ..verified }, accepted: last.accepted }
}
