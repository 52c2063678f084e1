//! The requirements for a message: who must have signed it, and what it may replace. Pure.

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::observe::Observed;
use crate::trust::{
    AcceptRequest, AcceptedList, Check, CrlPolicy, EndorserPolicy, LastAccepted, Refusal, RefusalReason, Sha256Digest,
    VerifyRequest, accept, verify,
};

/// The requirements for the signatures of a message.
pub(super) fn verify_request<'a>(checked: &'a Checked, observed: &'a Observed, now: Timestamp) -> VerifyRequest<'a> {
    VerifyRequest {
        anchors: &observed.anchors,
        policy: if checked.auto_endorse {
            EndorserPolicy::AutoEndorse { pinned: observed.first_signer.as_ref(), crl_policy: CrlPolicy::Require }
        } else {
            EndorserPolicy::Enforce { endorsers: &observed.rules, required: checked.required_endorsements }
        },
        revoked: &observed.revoked,
        algorithms: observed.algorithms,
        format: &checked.format,
        wanted: None,
        at: now,
    }
}

/// The requirements for a verified list.
pub(super) fn accept_request<'a>(
    checked: &'a Checked,
    last: Option<&'a LastAccepted>,
    taken: Option<Sha256Digest>,
    now: Timestamp,
) -> AcceptRequest<'a> {
    AcceptRequest {
        identifier: checked.identifier.as_ref(),
        last,
        max_list_age: checked.max_list_age.and_then(|age| SignedDuration::try_from(age).ok()),
        accept_list: checked.accept_list.filter(|digest| taken != Some(*digest)),
        now,
    }
}

/// Makes every check of a message, as if it came now and were the first one. Returns the checks in order, and their outcome.
pub(super) fn every_check(
    checked: &Checked,
    observed: &Observed,
    message: &[u8],
    now: Timestamp,
) -> (Vec<Check>, Result<AcceptedList, Refusal>) {
    let verification = verify(message, &verify_request(checked, observed, now));
    let mut checks = verification.checks;
    let outcome = verification.outcome.and_then(|list| {
        let acceptance = accept(list, &accept_request(checked, None, None, now));
        checks.extend(acceptance.checks);
        acceptance.outcome
    });
    (checks, outcome)
}

/// The refusal, with how the message `came` if it is not signed: it may be a login page.
pub(super) fn explained(mut refusal: Refusal, came: &str) -> Refusal {
    if refusal.reason == RefusalReason::Unsigned {
        refusal.message.push_str(came);
    }
    refusal
}
