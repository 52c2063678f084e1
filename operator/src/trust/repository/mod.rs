//! Repositories of OCI artefacts: each tag is signed for itself, so each is judged for itself.
//!
//! [`verify`] judges the tags of a fetched message. [`settle`] compares them with what was accepted before: a tag that
//! moves back, or that is no longer endorsed, does not enter, and what was accepted of it stays. [`reverify`] verifies a
//! stored message again: a tag whose signers were revoked leaves the list.

mod built;
mod judgement;
mod reverification;
mod succession;

use self::built::{Built, build};
pub(super) use self::reverification::reverify;
pub(super) use self::succession::settle;
use super::{Check, Refusal, RefusalReason, Rule, Verification, VerifiedList, VerifyRequest};
use crate::imagelist::ImageList;
use crate::imagelist::oci::{OciRule, RepositoryMessage};
use crate::size::Count;

/// Verifies the tags of a fetched message. If none is endorsed, the message is refused with the reason of one of them;
/// otherwise the others are refused images.
pub(super) fn verify(message: &[u8], rule: &OciRule, request: &VerifyRequest<'_>) -> Verification {
    let mut checks = Vec::new();
    let outcome = steps(message, rule, request, &mut checks);
    Verification { checks, outcome }
}

/// The list of everything in a message. No signature is verified.
pub(super) fn unverified(message: &[u8]) -> Result<ImageList, Refusal> {
    let malformed = |message: String| Refusal::new(RefusalReason::ListMalformed, message);
    let read = RepositoryMessage::read(message).map_err(|error| malformed(error.to_string()))?;
    read.unverified().ok_or_else(|| malformed("expected an image, found none".to_owned()))
}

fn steps(
    message: &[u8],
    rule: &OciRule,
    request: &VerifyRequest<'_>,
    checks: &mut Vec<Check>,
) -> Result<VerifiedList, Refusal> {
    let mut read = of_repository(message, rule)
        .inspect_err(|refusal| checks.push(Check::failed(Rule::Message, refusal.to_string())))?;
    read.tags.retain(|tagged| rule.takes(tagged.tag.as_ref()));
    let count = Count(read.tags.len(), "tag");
    checks.push(Check::passed(Rule::Message, format!("repository {}, {count}", read.repository)));
    let Built { list, refusals } = build(message, &read, request)?;
    for (shown, refusal) in &refusals {
        checks.push(Check::failed(Rule::Endorsements, format!("{shown}: {refusal}")));
    }
    if list.list.images.is_empty() {
        return Err(none_endorsed(&read, refusals));
    }
    let endorsed = list.list.images.len();
    checks.push(Check::passed(Rule::Endorsements, format!("{endorsed} of {count}")));
    Ok(list)
}

fn of_repository(message: &[u8], rule: &OciRule) -> Result<RepositoryMessage, Refusal> {
    let malformed = |message: String| Refusal::new(RefusalReason::ListMalformed, message);
    let read = RepositoryMessage::read(message).map_err(|error| malformed(error.to_string()))?;
    if read.repository != rule.repository {
        return Err(malformed(format!("expected the repository {}, found {}", rule.repository, read.repository)));
    }
    Ok(read)
}

/// The refusal of a message without an endorsed tag: that of the first tag with a signature, or else of the first.
fn none_endorsed(read: &RepositoryMessage, refusals: Vec<(String, Refusal)>) -> Refusal {
    let others = refusals.len().saturating_sub(1);
    let signed = refusals.iter().position(|(_, refusal)| refusal.reason != RefusalReason::Unsigned).unwrap_or(0);
    let Some((shown, refusal)) = refusals.into_iter().nth(signed) else {
        let message = format!("expected a tag of {} that the subscription takes, found none", read.repository);
        return Refusal::new(RefusalReason::ListMalformed, message);
    };
    let others = if others > 0 { format!("; nor is any of the {others} other tags endorsed") } else { String::new() };
    Refusal { message: super::refusal::bounded(format!("{shown}: {}{others}", refusal.message)), ..refusal }
}
