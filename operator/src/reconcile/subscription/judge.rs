//! Verifies the messages: the stored ones, and the newest one. They are read one at a time, within the memory budget
//! that all documents share. Of each list only the selected images, and those that have an object, are kept.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::check::Checked;
use super::fetched::Fetched;
use super::memory::is_behind;
use super::observe::Observed;
use super::stored::{self, Before, Stored};
use super::verification::{accept_request, verify_request};
use crate::fetch::Document;
use crate::imagelist::{LearnedContent, MAXIMUM_BYTES, WantedImages};
use crate::reconcile::context::Context;
use crate::reconcile::exchange::Message;
use crate::reconcile::learned::learned;
use crate::store::ResourceStore;
use crate::trust::{AcceptedList, Refusal, Sha256Digest, VerifiedList, VerifyRequest, accept, expands, verify};

/// The memory that verifying a message needs, as a multiple of its size: the message, the signed text extracted from it
/// or a copy of that with other line ends, and what OpenSSL allocates. The parsed list is small in comparison.
const TIMES: u64 = 4;
/// The memory that each verification needs in addition, in bytes.
pub(super) const BESIDES: u64 = 1 << 20;
/// The number of bytes at the beginning of a message that show whether it is compressed.
const BEGINNING: u64 = 4096;

/// The results for the messages of a pass.
pub(super) struct Judged {
    /// The stored lists.
    pub stored: Stored,
    /// The list that was in force, rebuilt from its message because its record is lost.
    pub rebuilt: Option<(AcceptedList, Message)>,
    /// The newest message that this process has seen.
    pub newest: Option<Newest>,
    /// The identifiers of the subscription's objects.
    pub known: BTreeSet<String>,
}

/// The newest message: the one fetched in this pass, or an earlier one that is not in force yet.
pub(super) struct Newest {
    pub message: Message,
    pub digest: Sha256Digest,
    pub verdict: Verdict,
}

/// The result of its verification.
pub(super) enum Verdict {
    /// It is the message in force.
    InForce,
    /// There is no usable endorser, so it cannot be verified.
    NotJudged,
    /// Whether it has the required trusted signatures.
    Verified(Box<Result<VerifiedList, Refusal>>),
}

impl Judged {
    /// Adds what was learned about bytes that the lists identify by SHA-256.
    fn learn(&mut self, learned: &dyn Fn(&Sha256Digest) -> Option<LearnedContent>) {
        let Stored { before, older, withdrawn, memory: _ } = &mut self.stored;
        let before = match before {
            Before::InForce(list) | Before::Frozen(list, _) | Before::Withdrawn(list, _) => Some(list),
            Before::None => None,
        };
        let rebuilt = self.rebuilt.as_mut().map(|(list, _)| list);
        let withdrawn = withdrawn.iter_mut().map(|(list, _)| list);
        before.into_iter().chain(older).chain(withdrawn).chain(rebuilt).for_each(|list| list.learn(None, learned));
        if let Some(Verdict::Verified(verified)) = self.newest.as_mut().map(|newest| &mut newest.verdict)
            && let Ok(list) = &mut **verified
        {
            list.learn(None, learned);
        }
    }
}

/// Verifies all messages of a pass.
pub(super) async fn judge<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: Observed,
    now: Timestamp,
) -> (Observed, Judged) {
    let memory = context.client.budget().take(&checked.key.namespace, needed(&observed)).await;
    let (checked, volume) = (checked.clone(), context.volume.clone());
    let work = memory.work(move || {
        let mut judged = judge_in(&checked, &observed, now);
        judged.learn(&|digest| learned(&volume, digest));
        (observed, judged)
    });
    work.await
}

/// The memory for verifying the largest of the messages.
fn needed(observed: &Observed) -> u64 {
    let newest = newest_message(observed).map(|message| message.document);
    let older = observed.older.iter().map(|(_, document)| document);
    let all = older.chain(&observed.stored).chain(&observed.rebuild_from).chain(&newest);
    all.map(room).max().unwrap_or_default() + BESIDES
}

/// The memory for verifying a message. A compressed message may hold as much as any allowed message.
pub(super) fn room(document: &Document) -> u64 {
    let holds_more = document.begin(BEGINNING).is_ok_and(|beginning| expands(&beginning));
    let size = if holds_more { document.size().max(MAXIMUM_BYTES as u64) } else { document.size() };
    size.saturating_mul(TIMES)
}

fn judge_in(checked: &Checked, observed: &Observed, now: Timestamp) -> Judged {
    let ours = observed.images.iter().filter(|image| image.spec.subscription_ref.name == checked.key.name);
    let ours = ours.map(|image| image.spec.identifier.clone());
    let known: BTreeSet<String> = ours.chain(observed.asked_for.clone()).collect();
    let wanted = WantedImages { selection: &checked.selection, known: &known };
    let request = VerifyRequest { wanted: Some(wanted), ..verify_request(checked, observed, now) };
    let rebuilt = observed.rebuild_from.as_ref().and_then(|document| rebuild(checked, document, &request, now));
    let rebuilt = rebuilt.filter(|(list, _)| !is_behind(&list.last_accepted(), &observed.status));
    let stored = stored::judge(checked, observed, &request, &read);
    let newest = newest_message(observed).and_then(|message| {
        // A stored message that is not the accepted one, or that the rule of the source no longer makes the accepted list
        // of, is judged like any other.
        let is_known = !matches!(stored.before, Before::None);
        newest(checked, observed, message, is_known, &request)
    });
    Judged { stored, rebuilt, newest, known }
}

/// A message that cannot be read counts as missing: it is fetched again.
pub(super) fn read(document: &Document) -> Option<Vec<u8>> {
    document.read().inspect_err(|error| tracing::warn!(%error, "a list cannot be read on the volume")).ok()
}

/// The list that was in force, from its message alone: it is accepted like a new one.
fn rebuild(
    checked: &Checked,
    document: &Document,
    request: &VerifyRequest<'_>,
    now: Timestamp,
) -> Option<(AcceptedList, Message)> {
    let verified = verify(&read(document)?, request).outcome.ok()?;
    let list = accept(verified, &accept_request(checked, None, None, now)).outcome.ok()?;
    Some((list, Message { document: document.clone(), validator: None, beside: Vec::new(), came: String::new() }))
}

/// The newest message that this process has seen: the one fetched in this pass, or an earlier one that is not in force
/// yet.
fn newest_message(observed: &Observed) -> Option<Message> {
    match &observed.fetched {
        Fetched::Message(message) => Some(message.clone()),
        Fetched::NotModified => None,
        Fetched::NotAsked | Fetched::Failed(_) => observed.pending.clone(),
    }
}

fn newest(
    checked: &Checked,
    observed: &Observed,
    message: Message,
    is_known: bool,
    request: &VerifyRequest<'_>,
) -> Option<Newest> {
    let bytes = read(&message.document)?;
    let digest = Sha256Digest::of(&bytes);
    let is_in_force = observed.memory.as_ref().is_some_and(|memory| memory.message == digest);
    let verdict = if is_known && is_in_force {
        Verdict::InForce
    } else if observed.rules.is_empty() && !checked.auto_endorse {
        Verdict::NotJudged
    } else {
        Verdict::Verified(Box::new(verify(&bytes, request).outcome))
    };
    Some(Newest { message, digest, verdict })
}
