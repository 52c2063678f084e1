//! The requirements for a message: who must have signed it, and what it may replace. Pure.

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::observe::Observed;
use crate::trust::{AcceptRequest, CrlPolicy, EndorserPolicy, LastAccepted, Sha256Digest, VerifyRequest};

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
