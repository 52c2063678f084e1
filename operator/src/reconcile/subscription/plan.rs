//! Plans the steps from what was observed. Pure, total and deterministic.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::check::Checked;
use super::children::{self, Children};
use super::clock;
use super::judge::{self, Judged, Verdict};
use super::memory::{ListMemory, OlderList};
use super::observe::{Observed, address};
use super::older::{kept, older_after, unneeded};
use super::removal::{self, Blocked};
use super::schedule::expiry;
use super::step::Step;
use super::stored::{Before, Stored};
use super::verification::{accept_request, explained};
use crate::api::time;
use crate::cache::CacheError;
use crate::imagelist::ListVersion;
use crate::reconcile::exchange::{Force, ListInForce, Message, WithdrawnList};
use crate::trust::{AcceptedList, LastAccepted, Refusal, RefusalReason, Sha256Digest, VerifiedList, accept};

/// The plan of a pass over a subscription.
pub(super) struct Plan {
    /// The steps, in order. The first ones bring the new list into force; the others are independent of each other.
    pub steps: Vec<Step>,
    /// The list that is in force after the steps.
    pub list: Option<ListInForce>,
    /// Whether that list was newly accepted.
    pub newly_accepted: bool,
    /// The result for the newest message.
    pub newest: Newest,
    /// The newest message, if this process has seen one.
    pub message: Option<Message>,
    /// Why the local clock is in doubt. While it is, nothing expires.
    pub doubt: Option<String>,
    /// Why the list in force can no longer be verified.
    pub frozen: Option<Refusal>,
    /// The images of the list.
    pub children: Children,
}

/// The result for the newest message.
pub(super) enum Newest {
    /// No message was seen.
    NotSeen,
    /// It is the list in force.
    InForce,
    /// It cannot be verified: no endorser can be used.
    NotJudged,
    /// It drops so many images that a user must approve it.
    Blocked(Blocked),
    /// It was refused.
    Refused {
        /// The message's SHA-256.
        digest: Sha256Digest,
        /// Why.
        refusal: Refusal,
        /// `hv:version` and `dc:date:created`, if its signature is valid.
        list: Option<(ListVersion, Timestamp)>,
    },
}

impl Step {
    /// Whether the step is part of an import of a new list.
    pub(super) fn is_import(&self) -> bool {
        match self {
            Self::SetMemoryAside(_) | Self::StoreList { .. } | Self::Remember(_) => true,
            Self::RememberLearned(_) | Self::Finalize(_) | Self::ApplyImage(_) | Self::DeleteImage(_) => false,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(if steps.is_empty() { "nothing to do".to_owned() } else { steps.join("; ") }.as_str())
    }
}

/// Makes the plan.
pub(super) fn plan(checked: &Checked, observed: &Observed, judged: Judged, now: Timestamp) -> Plan {
    let Judged { stored, rebuilt, newest, known } = judged;
    let Stored { before, mut older, mut withdrawn, memory } = stored;
    let rebuilt = rebuilt.map(|(list, message)| Import { list, message });
    let message = newest.as_ref().map(|newest| newest.message.clone());
    let remembered = memory.as_ref().map(|memory| memory.last.clone());
    let previous = remembered.or_else(|| rebuilt.as_ref().map(|import| import.list.last_accepted()));
    let (newest, accepted) = match judge_newest(checked, observed, newest, previous.as_ref(), now) {
        Outcome::Accepted(import) => (Newest::InForce, Some(*import)),
        Outcome::Other(newest) => (newest, None),
    };
    let newly_accepted = accepted.is_some();
    let recorded = recorded(observed, memory.as_ref(), &before, &older, newly_accepted);
    let mut steps: Vec<Step> = set_aside(observed).into_iter().collect();
    let import = accepted.or(rebuilt);
    steps.extend(match &import {
        Some(import) => import.steps(checked, memory.as_ref(), recorded.clone()),
        None => learned(observed, memory).into_iter().collect(),
    });
    let (list, frozen) = match (import, before) {
        (Some(import), before) => {
            before.becomes_older(observed.look_back, &mut older, &mut withdrawn);
            (Some((import.list, None)), None)
        }
        (None, Before::None) => (None, None),
        (None, Before::InForce(list)) => (Some((list, None)), None),
        (None, Before::Frozen(list, refusal)) => (Some((list, None)), Some(refusal)),
        (None, Before::Withdrawn(list, refusal)) => (Some((list, Some(refusal))), None),
    };
    let kept = kept(recorded, &withdrawn);
    let disowned = withdrawn.into_iter().map(withdrawn_list).collect();
    let doubt = clock::doubt(checked, observed, now);
    let list = list.map(|(list, withdrawn)| {
        let state = State { withdrawn, frozen: frozen.is_some(), expiring: doubt.is_none(), known };
        ListInForce { withdrawn: disowned, kept, ..in_force(checked, observed, list, older, state, now) }
    });
    let children = children::plan(checked, observed, list.as_ref(), now);
    steps.extend(children.steps.iter().cloned());
    Plan { steps, list, newly_accepted, newest, message, doubt, frozen, children }
}

/// The older lists in the record after the pass.
fn recorded(
    observed: &Observed,
    memory: Option<&ListMemory>,
    before: &Before,
    older: &[AcceptedList],
    newly_accepted: bool,
) -> Vec<OlderList> {
    match memory {
        Some(memory) if newly_accepted => older_after(memory, &unneeded(observed.on_volume.as_ref(), before, older)),
        Some(memory) => memory.older.clone(),
        None => Vec::new(),
    }
}

/// The step that writes the record, if verifying the stored lists has changed it.
fn learned(observed: &Observed, memory: Option<ListMemory>) -> Option<Step> {
    let memory = memory.filter(|memory| observed.memory.as_ref() != Some(memory))?;
    Some(Step::RememberLearned(Box::new(memory)))
}

/// The step that moves a record out of the way, if it cannot be read.
fn set_aside(observed: &Observed) -> Option<Step> {
    match &observed.trouble {
        Some(CacheError::StateCorrupt { path, .. }) if observed.memory.is_none() => {
            Some(Step::SetMemoryAside(path.clone()))
        }
        Some(_) | None => None,
    }
}

/// The decision on the newest message.
enum Outcome {
    Accepted(Box<Import>),
    Other(Newest),
}

/// A message that is accepted in this pass.
struct Import {
    list: AcceptedList,
    message: Message,
}

impl Import {
    fn steps(&self, checked: &Checked, before: Option<&ListMemory>, older: Vec<OlderList>) -> Vec<Step> {
        let memory = ListMemory {
            last: self.list.last_accepted(),
            message: self.list.message_digest(),
            validator: self.message.validator.clone(),
            beside: self.message.beside.clone(),
            address: address(checked),
            taken: match before.and_then(|before| before.taken) {
                None => checked.accept_list.filter(|digest| *digest == self.list.message_digest()),
                taken => taken,
            },
            older,
        };
        let store = Step::StoreList {
            version: memory.last.version.clone(),
            digest: memory.message,
            message: self.message.document.clone(),
        };
        vec![store, Step::Remember(Box::new(memory))]
    }
}

fn judge_newest(
    checked: &Checked,
    observed: &Observed,
    newest: Option<judge::Newest>,
    previous: Option<&LastAccepted>,
    now: Timestamp,
) -> Outcome {
    let Some(judge::Newest { message, digest, verdict }) = newest else { return Outcome::Other(nothing_new(observed)) };
    let verified = match verdict {
        Verdict::InForce => return Outcome::Other(Newest::InForce),
        Verdict::NotJudged => return Outcome::Other(Newest::NotJudged),
        Verdict::Verified(outcome) => match *outcome {
            Ok(verified) => verified,
            Err(refusal) => {
                let refusal = explained(refusal, &message.came);
                return Outcome::Other(Newest::Refused { digest, refusal, list: None });
            }
        },
    };
    let told = (verified.list().version.clone(), verified.list().created);
    let told_by_status = told_by_status(observed, &verified);
    let previous = previous.filter(|_| !observed.behind).or(told_by_status.as_ref());
    let taken = observed.memory.as_ref().and_then(|memory| memory.taken);
    let request = accept_request(checked, previous, taken, now);
    match accept(verified, &request).outcome {
        Ok(list) => match removal::judge(checked, observed, list.list(), request.accept_list == Some(digest), digest) {
            Some(blocked) => Outcome::Other(Newest::Blocked(blocked)),
            None => Outcome::Accepted(Box::new(Import { list, message })),
        },
        Err(refusal) => Outcome::Other(Newest::Refused { digest, refusal, list: Some(told) }),
    }
}

fn nothing_new(observed: &Observed) -> Newest {
    if observed.stored.is_some() { Newest::InForce } else { Newest::NotSeen }
}

/// The last accepted list according to the status, if the volume has lost its record, or has an older one: enough to detect
/// a rollback. The status does not have the digest of the text, so a list with the same version and time counts as the
/// same.
fn told_by_status(observed: &Observed, verified: &VerifiedList) -> Option<LastAccepted> {
    let told = observed.status.list.as_ref()?;
    Some(LastAccepted {
        identifier: told.identifier.parse().ok()?,
        version: told.version.parse().ok()?,
        created: told.created.0,
        payload: verified.payload_digest(),
        accepted: told.accepted_time.0,
        signers: Vec::new(),
        certificates: Vec::new(),
        revoked: Vec::new(),
        tags: Vec::new(),
    })
}

/// The state of a list that is, or was, in force.
struct State {
    withdrawn: Option<Refusal>,
    frozen: bool,
    /// Whether the clock is trusted, so that things expire.
    expiring: bool,
    /// The identifiers of the subscription's image objects.
    known: BTreeSet<String>,
}

fn in_force(
    checked: &Checked,
    observed: &Observed,
    accepted: AcceptedList,
    older: Vec<AcceptedList>,
    state: State,
    now: Timestamp,
) -> ListInForce {
    let expires = expiry(accepted.list().expires, accepted.list().created, checked.max_list_age);
    let asked_before = observed.status.last_fetch_time.as_ref().map(|time| time.0);
    let last_fetch = if observed.fetched.was_asked() { Some(time(now).0) } else { asked_before };
    let tried_since = checked.suspend || last_fetch.is_some_and(|last| last >= expires);
    let force = force(&state, expires <= now && tried_since);
    ListInForce {
        generation: checked.generation,
        places: OnceLock::new(),
        digest: OnceLock::new(),
        accepted: Arc::new(accepted),
        older: older.into_iter().map(Arc::new).collect(),
        looked_back: observed.look_back,
        kept: Vec::new(),
        withdrawn: Vec::new(),
        known: state.known,
        expires,
        force,
        frozen: state.frozen,
        expiring: state.expiring,
        last_fetch,
        selection: checked.selection.clone(),
        retention: checked.retention,
        interval: checked.interval,
        suspend: checked.suspend,
        retire: checked.retire,
        requested_at: checked.requested_at.clone(),
        deleting: checked.deleting,
        targets: checked.targets.clone(),
        source: checked.origin(),
    }
}

fn force(state: &State, has_ended: bool) -> Force {
    match &state.withdrawn {
        Some(refusal) => Force::Withdrawn { reason: withdrawal_reason(refusal), message: refusal.message.clone() },
        None if state.expiring && has_ended => Force::Expired,
        None => Force::InForce,
    }
}

fn withdrawn_list((list, refusal): (AcceptedList, Refusal)) -> WithdrawnList {
    WithdrawnList { accepted: Arc::new(list), reason: withdrawal_reason(&refusal), message: refusal.message }
}

/// The reason for the images of a withdrawn list: revoked by a CA or by a user.
fn withdrawal_reason(refusal: &Refusal) -> &'static str {
    if refusal.reason == RefusalReason::CertificateRevoked { "CertificateRevoked" } else { "EndorserRevoked" }
}
