//! What is there: the list's bytes, the endorsers, what was accepted before, the images. Decides nothing.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::Checked;
use super::problem::FetchProblem;
use super::schedule::FetchTrigger;
use super::{beside, envelope, schedule};
use crate::api::{CachedImage, Endorser, HasConditions, ImageListSubscription, ImageListSubscriptionStatus};
use crate::cache::{CacheError, StatePath, Volume};
use crate::fetch::{Document, FetchError, ListAnswer, Source, Validator};
use crate::imagelist::SourceUrl;
use crate::reconcile::context::Context;
use crate::reconcile::endorser;
use crate::reconcile::exchange::{DetachedSignature, ListOrigin, Message};
use crate::reconcile::source::{SourceError, source};
use crate::store::ResourceStore;
use crate::trust::{AlgorithmPolicy, Anchors, CredentialKind, EndorserRule, LastAccepted, Sha256Digest, SignerName};

/// Everything that a plan is made from.
pub(super) struct Observed {
    /// The status that the pass before wrote.
    pub status: ImageListSubscriptionStatus,
    /// The endorsers that the subscription names, as far as they can be used.
    pub rules: Vec<EndorserRule>,
    /// Those that are not there or cannot be used, each with why.
    pub unusable: Vec<String>,
    /// Credentials that some endorser of the namespace calls revoked.
    pub revoked: Vec<CredentialKind>,
    /// With `AutoEndorse`: who signed the list that was accepted first, and every one since.
    pub first_signer: Option<SignerName>,
    /// The trust anchors.
    pub anchors: Arc<Anchors>,
    /// Which digests a signature may use.
    pub algorithms: AlgorithmPolicy,
    /// What is remembered of the list in force.
    pub memory: Option<ListMemory>,
    /// The message in force, as it was signed.
    pub stored: Option<Document>,
    /// Whether an image may be of an older list: it has a pin, or the version before is still in circulation.
    pub look_back: bool,
    /// The messages before it that are still kept, the last first, each with its digest: all of them where an image
    /// may be of an older list, else one of each certificate that signed none after it, to see whether it was revoked.
    pub older: Vec<(Sha256Digest, Document)>,
    /// The message that was stored last, where the memory of it is lost.
    pub rebuild_from: Option<Document>,
    /// What could not be read on the volume.
    pub trouble: Option<CacheError>,
    /// What the server said in this pass.
    pub fetched: Fetched,
    /// What time the server says it is.
    pub server_time: Option<Timestamp>,
    /// The newest message, when an earlier pass did not bring it into force.
    pub pending: Option<Message>,
    /// All images of the namespace.
    pub images: Vec<Arc<CachedImage>>,
}

/// What must not be forgotten of a subscription's list: `state/lists/<namespace>/<name>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMemory {
    /// Rollback and replay are judged by it.
    pub last: LastAccepted,
    /// SHA-256 of the message.
    pub message: Sha256Digest,
    /// How the server names what it sent; only for the address of which `address` is the digest.
    pub validator: Option<Validator>,
    /// The signatures that lay beside the list and are part of the message.
    #[serde(default)]
    pub beside: Vec<DetachedSignature>,
    /// SHA-256 of the address that the message came from. Not the address: it may hold a secret.
    pub address: Sha256Digest,
    /// The value of `verify.acceptList` by which a list came into force. A person's word counts once: while it stands
    /// there unchanged, whoever sends that message again sends an old list.
    #[serde(default)]
    pub taken: Option<Sha256Digest>,
    /// The lists that were in force before it, the last first: where pins look for older versions.
    #[serde(default)]
    pub older: Vec<OlderList>,
}

/// A list that was in force once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OlderList {
    /// What it was accepted as.
    pub last: LastAccepted,
    /// SHA-256 of its message.
    pub message: Sha256Digest,
}

/// What the server said.
pub(super) enum Fetched {
    /// It was not asked in this pass.
    NotAsked,
    /// What it sent before has not changed.
    NotModified,
    /// A message.
    Message(Message),
    /// Nothing that could be used.
    Failed(FetchProblem),
}

impl ListMemory {
    /// Where the memory of a subscription is kept.
    pub fn path(checked: &Checked) -> Result<StatePath, CacheError> {
        Ok(StatePath::new(["lists", checked.namespace.as_str(), checked.name.as_str()])?)
    }
}

/// Who signed the list in force: told by the volume, and where that was lost by the status. A name that cannot be read
/// back, since status shortens very long ones, is nobody's, so that no other signer takes its place.
fn first_signer(memory: Option<&ListMemory>, status: &ImageListSubscriptionStatus) -> Option<SignerName> {
    let of_status = || status.list.as_ref()?.signers.first().map(|one| (one.subject.clone(), one.issuer.clone()));
    let of_memory = memory.and_then(|memory| memory.last.signers.first());
    let (subject, issuer) = of_memory.map(|one| (one.subject.clone(), one.issuer.clone())).or_else(of_status)?;
    Some(SignerName::read(&subject, &issuer))
}

/// Looks at everything that a plan is made from; asks the server if it is time to.
pub(super) async fn observe<S: ResourceStore>(
    context: &Context<S>,
    object: &ImageListSubscription,
    checked: &Checked,
    ask: FetchTrigger,
    now: Timestamp,
) -> Observed {
    let status = object.status.clone().unwrap_or_default();
    let (rules, unusable, revoked) = endorsers(&*context.store, checked).await;
    let Remembered { memory, stored, rebuild_from, trouble } = remembered(&context.volume, checked);
    let first_signer = first_signer(memory.as_ref(), &status);
    let images = context.store.list::<CachedImage>(&checked.key.namespace);
    let look_back = images.iter().any(|image| may_be_older(checked, image));
    let older = memory.as_ref().map(|memory| older(&context.volume, checked, memory, look_back)).unwrap_or_default();
    let pending = context.pending.get(&checked.key);
    let ask = ask == FetchTrigger::Now || schedule::fetch_due(checked, &status, now);
    let (fetched, server_time) = match (checked.suspend || checked.deleting, ask) {
        (false, true) => fetch(context, checked, memory.as_ref().filter(|_| stored.is_some())).await,
        (true, _) | (false, false) => (Fetched::NotAsked, None),
    };
    Observed {
        status,
        rules,
        unusable,
        revoked,
        first_signer,
        anchors: context.anchors.current(),
        algorithms: context.settings.algorithms,
        memory,
        stored,
        look_back,
        older,
        rebuild_from,
        trouble,
        fetched,
        server_time,
        pending,
        images,
    }
}

/// Whether a person named the version of an image.
pub(super) fn is_pinned(image: &CachedImage) -> bool {
    image.spec.version.is_some() || image.spec.sha512.is_some()
}

/// Whether an image of the subscription has a pin, or a version may be in circulation that the list in force does not
/// endorse.
fn may_be_older(checked: &Checked, image: &CachedImage) -> bool {
    let (ours, pinned) = (image.spec.subscription_ref.name == checked.key.name, is_pinned(image));
    let Some(status) = image.status.as_ref().filter(|_| ours && !pinned) else { return ours && pinned };
    let endorsed = status.image.as_ref().filter(|_| status.is_true("Endorsed")).map(|wanted| wanted.sha512.as_str());
    let published = status.artifact.iter().map(|artifact| artifact.sha512.as_str());
    let at_targets = status.targets.iter().filter(|target| target.id.is_some()).filter_map(|at| at.sha512.as_deref());
    published.chain(at_targets).any(|digest| endorsed != Some(digest))
}

/// The older messages that are still there. One that cannot be read is as good as one that is gone.
fn older(volume: &Volume, checked: &Checked, memory: &ListMemory, all: bool) -> Vec<(Sha256Digest, Document)> {
    let read = |older: &OlderList| {
        let digest = hex::encode(older.message.as_bytes());
        let message = volume.read_list(&checked.namespace, &checked.name, &older.last.version, &digest).ok()??;
        Some((older.message, message))
    };
    let mut seen = memory.last.certificates.clone();
    let mut is_new = |older: &&OlderList| {
        let LastAccepted { certificates, revoked, .. } = &older.last;
        let known = |one: &Sha256Digest| seen.contains(one) || revoked.iter().any(|known| known.certificate == *one);
        let new = !certificates.iter().all(known);
        seen.extend(certificates);
        all || new
    };
    memory.older.iter().filter(|older| is_new(older)).filter_map(read).collect()
}

type Endorsers = (Vec<EndorserRule>, Vec<String>, Vec<CredentialKind>);

async fn endorsers<S: ResourceStore>(store: &S, checked: &Checked) -> Endorsers {
    let all = store.list::<Endorser>(&checked.key.namespace);
    let judged: Vec<(String, Result<EndorserRule, _>)> =
        all.iter().map(|object| (object.metadata.name.clone().unwrap_or_default(), endorser::check(object))).collect();
    let (mut rules, mut unusable) = (Vec::new(), Vec::new());
    for name in &checked.endorsers {
        match judged.iter().find(|(other, _)| other == name) {
            Some((_, Ok(rule))) => match complete(store, &all, rule).await {
                Ok(rule) => rules.push(rule),
                Err(error) => unusable.push(format!("Endorser {name}: {error}")),
            },
            Some((_, Err(error))) => unusable.push(format!("Endorser {name}: {error}")),
            None => unusable.push(format!("expected the Endorser {name}, found none")),
        }
    }
    (rules, unusable, all.iter().flat_map(|object| endorser::revoked(object)).collect())
}

/// The rule with what its endorser keeps elsewhere: trust anchors, keys.
async fn complete<S: ResourceStore>(
    store: &S,
    endorsers: &[Arc<Endorser>],
    rule: &EndorserRule,
) -> Result<EndorserRule, endorser::OwnAnchorsError> {
    match endorsers.iter().find(|object| object.metadata.name.as_deref() == Some(&rule.name)) {
        Some(object) => endorser::complete(store, object, rule.clone()).await,
        None => Ok(rule.clone()),
    }
}

/// What the volume holds of the list in force.
#[derive(Default)]
struct Remembered {
    memory: Option<ListMemory>,
    stored: Option<Document>,
    rebuild_from: Option<Document>,
    trouble: Option<CacheError>,
}

fn remembered(volume: &Volume, checked: &Checked) -> Remembered {
    let memory = ListMemory::path(checked).and_then(|path| volume.read_state::<ListMemory>(&path));
    let (memory, trouble) = match memory {
        Ok(memory) => (memory, None),
        Err(error) => (None, Some(error)),
    };
    let Some(memory) = memory else {
        return Remembered { rebuild_from: stored_last(volume, checked), trouble, ..Remembered::default() };
    };
    let digest = hex::encode(memory.message.as_bytes());
    match volume.read_list(&checked.namespace, &checked.name, &memory.last.version, &digest) {
        Ok(stored) => Remembered { memory: Some(memory), stored, ..Remembered::default() },
        Err(error) => Remembered { memory: Some(memory), trouble: Some(error), ..Remembered::default() },
    }
}

/// The message that was stored last: what is left of a memory that is lost.
fn stored_last(volume: &Volume, checked: &Checked) -> Option<Document> {
    let newest = volume.list_versions(&checked.namespace, &checked.name).ok()?.into_iter().next()?;
    volume.read_list(&checked.namespace, &checked.name, newest.version.as_ref()?, &newest.digest12).ok()?
}

/// What a server said, and what time it says it is.
type FetchedAt = (Fetched, Option<Timestamp>);

/// Asks the server, conditionally where what it sent last is in force.
async fn fetch<S: ResourceStore>(context: &Context<S>, checked: &Checked, memory: Option<&ListMemory>) -> FetchedAt {
    let origin = ListOrigin { url: checked.url.clone(), secret: checked.secret.clone(), tls: checked.tls.clone() };
    let trust = &context.settings.trust_directory;
    let source = match source(&*context.store, &checked.key.namespace, &origin, &checked.url, trust).await {
        Ok(source) => source,
        Err(error) => return (Fetched::Failed(FetchProblem::from(&error)), None),
    };
    let address = address(checked);
    let memory = memory.filter(|memory| memory.address == address);
    match ask(context, checked, &source, memory).await {
        Ok(ListAnswer::NotModified { date }) => (Fetched::NotModified, date),
        Ok(ListAnswer::Body { document, validator, date, came }) => {
            match envelope::open(&*context.store, &context.client, checked, &source, document).await {
                Ok((document, beside)) => {
                    let message = Message { document, validator, beside, came: came.to_string() };
                    (Fetched::Message(message), date)
                }
                Err(problem) => (Fetched::Failed(problem), date),
            }
        }
        Err(problem) => (Fetched::Failed(problem), None),
    }
}

/// Asks for the list, and, while that is the same, whether the signatures beside it are too: if not, for all of it.
async fn ask<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    source: &Source,
    memory: Option<&ListMemory>,
) -> Result<ListAnswer, FetchProblem> {
    let (client, timeout) = (&context.client, checked.timeout);
    let validator = memory.and_then(|memory| memory.validator.as_ref());
    let limit = client.settings().list_limit;
    let answer = client.fetch_list(source, validator, timeout, limit).await;
    let answer = answer.map_err(|error| FetchProblem::from(&error))?;
    let before = memory.map(|memory| memory.beside.as_slice()).unwrap_or_default();
    if matches!(answer, ListAnswer::Body { .. })
        || before.is_empty()
        || beside::are_unchanged(client, checked, source, before).await?
    {
        return Ok(answer);
    }
    client.fetch_list(source, None, timeout, limit).await.map_err(|error| FetchProblem::from(&error))
}

/// The digest of the subscription's address.
pub(super) fn address(checked: &Checked) -> Sha256Digest {
    Sha256Digest::of(checked.url.url().as_str().as_bytes())
}

impl FetchProblem {
    /// What came cannot be kept on the volume, or read from it.
    pub(super) fn not_kept(url: &SourceUrl, error: &std::io::Error) -> Self {
        Self::from(&FetchError::NotKept { url: url.clone(), message: error.to_string() })
    }
}

impl From<&FetchError> for FetchProblem {
    fn from(error: &FetchError) -> Self {
        Self { reason: error.reason(), message: error.to_string(), class: error.class() }
    }
}

impl From<&SourceError> for FetchProblem {
    fn from(error: &SourceError) -> Self {
        Self { reason: error.reason(), message: error.to_string(), class: error.class() }
    }
}

impl Fetched {
    /// Whether the server was asked in this pass.
    pub(super) fn was_asked(&self) -> bool {
        match self {
            Self::NotAsked => false,
            Self::NotModified | Self::Message(_) | Self::Failed(_) => true,
        }
    }

    /// Whether it was, and answered.
    pub(super) fn succeeded(&self) -> bool {
        match self {
            Self::NotModified | Self::Message(_) => true,
            Self::NotAsked | Self::Failed(_) => false,
        }
    }
}
