//! Verifies that a message is signed by a trusted signer.

use super::endorsement::{self, Group, Judgement, Times};
use super::message::AuthenticatedMessage;
use super::payload::{self, Payload};
use super::{
    Check, EndorserPolicy, Refusal, RefusalReason, Rule, Verification, VerifiedList, VerifyRequest, parts, repository,
};
use crate::imagelist::ListFormat;
use crate::size::Count;

/// Parses a message and verifies its signers, in this order: message, signatures, digests, paths, revocation,
/// endorsers, and the list in it. The first broken rule is the refusal. An invalid signature refuses the message. An
/// untrusted signer in addition to a trusted one does not. If the source has several files, each must have enough
/// trusted signatures.
pub fn verify(message: &[u8], request: &VerifyRequest<'_>) -> Verification {
    match request.format {
        ListFormat::Hepix | ListFormat::Checksums(_) | ListFormat::SimpleStreams(_) => {
            let mut checks = Vec::new();
            let outcome = steps(message, request, &mut checks);
            Verification { checks, outcome }
        }
        ListFormat::Oci(rule) => repository::verify(message, rule, request),
    }
}

fn steps(message: &[u8], request: &VerifyRequest<'_>, checks: &mut Vec<Check>) -> Result<VerifiedList, Refusal> {
    let proven = parts::authenticate(message, request, checks)?;
    let times = Times { path: request.at, crls: request.at };
    let groups: Vec<_> = proven.iter().map(|part| endorsement::judge(&part.signers, request, times)).collect();
    let counted = groups.iter().map(|groups| enough(groups, request, checks)).collect::<Result<Vec<_>, _>>()?;
    let payload = shape(&proven, &groups, request, checks)?;
    Ok(payload.verified(&counted, request.policy.required(), message))
}

/// The signers of a part that count, if there are enough of them.
fn enough<'j, 'a>(
    groups: &'j [Group<'a>],
    request: &VerifyRequest<'_>,
    checks: &mut Vec<Check>,
) -> Result<Vec<&'j Judgement<'a>>, Refusal> {
    endorsement::tell(groups, checks);
    let required = request.policy.required();
    let counted = endorsement::assign(groups);
    if counted.len() < required {
        let refusal = endorsement::missing(groups, &counted, required);
        if refusal.reason == RefusalReason::EndorsementsMissing {
            checks.push(Check::failed(Rule::Endorsements, refusal.message.clone()));
        }
        return Err(refusal);
    }
    if let EndorserPolicy::Enforce { .. } = request.policy {
        checks.push(Check::passed(Rule::Endorsements, format!("{} of {required}", counted.len())));
    }
    Ok(counted)
}

/// Parses the list in the signed texts.
fn shape(
    proven: &[AuthenticatedMessage<'_>],
    groups: &[Vec<Group<'_>>],
    request: &VerifyRequest<'_>,
    checks: &mut Vec<Check>,
) -> Result<Payload, Refusal> {
    let read = payload::read(proven, request.format, request.wanted, payload::signed(groups));
    read.and_then(|payload| payload.fits_together(request.at).map(|()| payload))
        .inspect_err(|refusal| checks.push(Check::failed(Rule::Shape, refusal.to_string())))
        .inspect(|payload| {
            let list = &payload.list;
            let found = format!(
                "{}, version {}, {}, {} refused",
                list.identifier,
                list.version,
                Count(list.images.len() + list.left_out.images, "image"),
                list.refused.len() + list.left_out.refused
            );
            checks.push(Check::passed(Rule::Shape, found));
        })
}
