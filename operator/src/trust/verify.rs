//! Verifies that a message is signed by a trusted signer.

use super::endorsement::{self, Judgement, Times};
use super::list::Succession;
use super::message::{AuthenticatedMessage, SignedMessage};
use super::{
    Check, EndorserPolicy, Refusal, RefusalReason, Rule, Sha256Digest, Verification, VerifiedList, VerifyRequest,
    repository,
};
use crate::imagelist::{ImageList, ListFormat, WantedImages};
use crate::size::Count;

/// Parses a message and verifies its signers, in this order: message, signatures, digests, paths, revocation,
/// endorsers, and the list in it. The first broken rule is the refusal. An invalid signature refuses the message. An
/// untrusted signer in addition to a trusted one does not.
pub fn verify(message: &[u8], request: &VerifyRequest<'_>) -> Verification {
    match request.format {
        ListFormat::Hepix => {
            let mut checks = Vec::new();
            let outcome = steps(message, request, &mut checks);
            Verification { checks, outcome }
        }
        ListFormat::Oci(rule) => repository::verify(message, rule, request),
    }
}

fn steps(message: &[u8], request: &VerifyRequest<'_>, checks: &mut Vec<Check>) -> Result<VerifiedList, Refusal> {
    let proven = verify_signature(message, request, checks)?;
    let groups = endorsement::judge(&proven.signers, request, Times { path: request.at, crls: request.at });
    endorsement::tell(&groups, checks);
    let required = request.policy.required();
    let counted = endorsement::assign(&groups);
    if counted.len() < required {
        let refusal = endorsement::missing(&groups, &counted, required);
        if refusal.reason == RefusalReason::EndorsementsMissing {
            checks.push(Check::failed(Rule::Endorsements, refusal.message.clone()));
        }
        return Err(refusal);
    }
    if let EndorserPolicy::Enforce { .. } = request.policy {
        checks.push(Check::passed(Rule::Endorsements, format!("{} of {required}", counted.len())));
    }
    let payload = shape(&proven, request.wanted, checks)?;
    Ok(payload.verified(&counted, required, message))
}

/// A parsed list, before it is combined with its signers.
pub(super) struct Payload {
    pub(super) list: ImageList,
    pub(super) digest: Sha256Digest,
}

impl Payload {
    pub(super) fn verified(self, counted: &[&Judgement<'_>], required: usize, message: &[u8]) -> VerifiedList {
        VerifiedList {
            list: self.list,
            signers: counted.iter().map(|judgement| judgement.signer()).collect(),
            names: counted.iter().map(|judgement| judgement.signer.names()).collect(),
            certificates: counted.iter().map(|judgement| judgement.signer.digest()).collect(),
            required,
            message: Sha256Digest::of(message),
            payload: self.digest,
            succession: Succession::Whole,
            tags: Vec::new(),
        }
    }
}

fn verify_signature<'m>(
    message: &'m [u8],
    request: &VerifyRequest<'_>,
    checks: &mut Vec<Check>,
) -> Result<AuthenticatedMessage<'m>, Refusal> {
    let told = |rule, refusal: Refusal, checks: &mut Vec<Check>| {
        checks.push(Check::failed(rule, format!("{}: {}", refusal.reason, refusal.message)));
        refusal
    };
    let read = SignedMessage::read(message).map_err(|refusal| told(Rule::Message, refusal, checks))?;
    checks.push(Check::passed(Rule::Message, read.described()));
    let proven =
        read.verify_signature(&request.public_keys()).map_err(|refusal| told(Rule::Signature, refusal, checks))?;
    for signer in &proven.signers {
        let by = format!("by {}", signer.shown());
        checks.push(if signer.is_proven() {
            Check::passed(Rule::Signature, by)
        } else {
            Check::not_asked(Rule::Signature, format!("{by}, whose key is not here"))
        });
    }
    Ok(proven)
}

/// Parses the list in the signed text.
fn shape(
    proven: &AuthenticatedMessage<'_>,
    wanted: Option<WantedImages<'_>>,
    checks: &mut Vec<Check>,
) -> Result<Payload, Refusal> {
    read_payload(proven, wanted)
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

/// The list in the signed text, and the digest of its JSON.
pub(super) fn read_payload(
    proven: &AuthenticatedMessage<'_>,
    wanted: Option<WantedImages<'_>>,
) -> Result<Payload, Refusal> {
    let json = proven.payload()?;
    let list = ImageList::parse_for(&json, wanted)
        .map_err(|error| Refusal::new(RefusalReason::ListMalformed, error.to_string()))?;
    let digest = Sha256Digest::of_parts(json.trim_ascii().split(|byte| *byte == b'\r'));
    Ok(Payload { list, digest })
}
