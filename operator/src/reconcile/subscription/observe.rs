//! Observes the list's bytes, the endorsers, what was accepted before, and the images. Decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::check::Checked;
use super::fetched::{Fetched, FetchedAt};
use super::files::{Answer, Files};
use super::look_back::{LookBack, look_back};
use super::memory::ListMemory;
use super::problem::FetchProblem;
use super::schedule::FetchTrigger;
use super::{beside, envelope, repository, schedule};
use crate::api::{CachedImage, Endorser, ImageListSubscription, ImageListSubscriptionStatus};
use crate::cache::{CacheError, Volume};
use crate::fetch::{Document, FetchError, ListAnswer, Source};
use crate::imagelist::oci::OciRule;
use crate::imagelist::{ImageId, ListFormat, Sha512Digest, SourceUrl};
use crate::reconcile::context::Context;
use crate::reconcile::endorser;
use crate::reconcile::exchange::{ListOrigin, Message};
use crate::reconcile::source::{SourceError, source};
use crate::store::ResourceStore;
use crate::trust::{AlgorithmPolicy, Anchors, CredentialKind, EndorserRule, Sha256Digest, SignerName};

/// Everything that a plan is made from.
pub(super) struct Observed {
    /// The status of the pass before.
    pub status: ImageListSubscriptionStatus,
    /// The rules of the endorsers that the subscription names and that can be used.
    pub rules: Vec<EndorserRule>,
    /// The named endorsers that do not exist or cannot be used, each with the reason.
    pub unusable: Vec<String>,
    /// Credentials that any endorser of the namespace marks as revoked.
    pub revoked: Vec<CredentialKind>,
    /// With `AutoEndorse`: the signer of the first accepted list, who must sign all later lists.
    pub first_signer: Option<SignerName>,
    /// The trust anchors.
    pub anchors: Arc<Anchors>,
    /// The digests and keys that a signature may use.
    pub algorithms: AlgorithmPolicy,
    /// The record of the list in force.
    pub memory: Option<ListMemory>,
    /// Whether the status has a newer list than that record.
    pub behind: bool,
    /// The signed message in force. `None` if the record is behind, as if the volume had lost it.
    pub stored: Option<Document>,
    /// Whether an image may need an older list: it has a pin, its previous version is still in circulation, or its
    /// status does not have the versions of the older lists yet.
    pub look_back: bool,
    /// The versions of images on the volume, if the record has so many older lists that some may leave it; `None` if not,
    /// or if they cannot be read.
    pub on_volume: Option<BTreeSet<(ImageId, Sha512Digest)>>,
    /// The stored messages before it, the newest first, each with its digest. If an image may need an older list, all
    /// of them; otherwise one for each certificate that signed no newer list, to check whether it was revoked.
    pub older: Vec<(Sha256Digest, Document)>,
    /// The message that was stored last, if the record of the list in force is lost.
    pub rebuild_from: Option<Document>,
    /// The error of reading the volume.
    pub trouble: Option<CacheError>,
    /// The result of the fetch in this pass.
    pub fetched: Fetched,
    /// The time according to the server.
    pub server_time: Option<Timestamp>,
    /// The newest message, if an earlier pass did not bring it into force.
    pub pending: Option<Message>,
    /// All images of the namespace.
    pub images: Vec<Arc<CachedImage>>,
    /// The identifier of an image whose entries are kept although nothing selects it.
    pub asked_for: Option<String>,
}

/// The signer of the list in force, from the volume, or from the status if the volume has lost it. A name that cannot
/// be parsed, because the status shortens very long names, matches no signer, so that no other signer takes its place.
fn first_signer(memory: Option<&ListMemory>, status: &ImageListSubscriptionStatus) -> Option<SignerName> {
    let of_status = || status.list.as_ref()?.signers.first().map(|one| (one.subject.clone(), one.issuer.clone()));
    let of_memory = memory.and_then(|memory| memory.last.signers.first());
    let (subject, issuer) = of_memory.map(|one| (one.subject.clone(), one.issuer.clone())).or_else(of_status)?;
    Some(SignerName::read(&subject, &issuer))
}

/// Observes everything that a plan is made from. Fetches the list if it is due.
pub(super) async fn observe<S: ResourceStore>(
    context: &Context<S>,
    object: &ImageListSubscription,
    checked: &Checked,
    ask: FetchTrigger,
    now: Timestamp,
) -> Observed {
    let status = object.status.clone().unwrap_or_default();
    let (rules, unusable, revoked) = endorsers(&*context.store, checked).await;
    let Remembered { memory, behind, stored, rebuild_from, trouble } = remembered(&context.volume, checked, &status);
    let images = context.store.list::<CachedImage>(&checked.key.namespace);
    let pending = context.pending.get(&checked.key);
    let (is_due, known) = (is_due(checked, &status, ask, now), memory.as_ref().filter(|_| stored.is_some()));
    let (fetched, server_time) = fetch_if(is_due, context, checked, known, stored.as_ref()).await;
    let is_new = matches!(fetched, Fetched::Message(_)) || pending.is_some();
    let LookBack { all: look_back, on_volume, older } =
        look_back(&context.volume, checked, memory.as_ref(), &images, ask == FetchTrigger::Never, is_new);
    Observed {
        first_signer: first_signer(memory.as_ref(), &status),
        status,
        rules,
        unusable,
        revoked,
        anchors: context.anchors.current(),
        algorithms: context.settings.algorithms,
        memory,
        behind,
        stored,
        look_back,
        on_volume,
        older,
        rebuild_from,
        trouble,
        fetched,
        server_time,
        pending,
        images,
        asked_for: None,
    }
}

/// Whether the server is asked in this pass.
fn is_due(checked: &Checked, status: &ImageListSubscriptionStatus, ask: FetchTrigger, now: Timestamp) -> bool {
    let is_due = match ask {
        FetchTrigger::Now => true,
        FetchTrigger::WhenDue => schedule::fetch_due(checked, status, now),
        FetchTrigger::Never => false,
    };
    is_due && !checked.suspend && !checked.deleting
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

/// The rule with what its endorser keeps in other objects: trust anchors and keys.
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

/// What the volume has of the list in force.
#[derive(Default)]
struct Remembered {
    memory: Option<ListMemory>,
    behind: bool,
    stored: Option<Document>,
    rebuild_from: Option<Document>,
    trouble: Option<CacheError>,
}

fn remembered(volume: &Volume, checked: &Checked, status: &ImageListSubscriptionStatus) -> Remembered {
    let memory = ListMemory::path(checked).and_then(|path| volume.read_state::<ListMemory>(&path));
    let (memory, trouble) = match memory {
        Ok(memory) => (memory, None),
        Err(error) => (None, Some(error)),
    };
    let Some(memory) = memory else {
        return Remembered { rebuild_from: stored_last(volume, checked), trouble, ..Remembered::default() };
    };
    if memory.is_behind(status) {
        return Remembered { memory: Some(memory), behind: true, ..Remembered::default() };
    }
    let digest = memory.message.digits();
    match volume.read_list(&checked.namespace, &checked.name, &memory.last.version, &digest) {
        Ok(stored) => Remembered { memory: Some(memory), stored, ..Remembered::default() },
        Err(error) => Remembered { memory: Some(memory), trouble: Some(error), ..Remembered::default() },
    }
}

/// The message that was stored last. It is used when the record is lost.
fn stored_last(volume: &Volume, checked: &Checked) -> Option<Document> {
    let newest = volume.list_versions(&checked.namespace, &checked.name).ok()?.into_iter().next()?;
    volume.read_list(&checked.namespace, &checked.name, newest.version.as_ref()?, &newest.digest12).ok()?
}

/// Fetches the list if the server is asked in this pass.
async fn fetch_if<S: ResourceStore>(
    is_due: bool,
    context: &Context<S>,
    checked: &Checked,
    memory: Option<&ListMemory>,
    stored: Option<&Document>,
) -> FetchedAt {
    if is_due { fetch(context, checked, memory, stored).await } else { (Fetched::NotAsked, None) }
}

/// Fetches the list, with a conditional request if the last fetched message is in force.
pub(super) async fn fetch<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    memory: Option<&ListMemory>,
    stored: Option<&Document>,
) -> FetchedAt {
    let origin = checked.origin();
    let address = address(checked);
    let memory = memory.filter(|memory| memory.address == address);
    let answered = match &checked.format {
        ListFormat::Hepix => return fetch_list(context, checked, &origin, memory).await,
        ListFormat::Oci(rule) => return fetch_repository(context, checked, &origin, (rule, stored)).await,
        ListFormat::Checksums(rule) => Files { context, checked, memory }.checksums(rule).await,
        ListFormat::SimpleStreams(rule) => Files { context, checked, memory }.simple_streams(rule).await,
    };
    match answered {
        Ok((Answer::NotModified, date)) => (Fetched::NotModified, date),
        Ok((Answer::Message(message), date)) => (Fetched::Message(message), date),
        Err(problem) => (Fetched::Failed(problem), None),
    }
}

/// Fetches what a repository of OCI artefacts has.
async fn fetch_repository<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    origin: &ListOrigin,
    (rule, stored): (&OciRule, Option<&Document>),
) -> FetchedAt {
    let trust = &context.settings.trust_directory;
    match source(&*context.store, &checked.key.namespace, origin, &checked.url, trust).await {
        Ok(source) => repository::observe(&context.client, checked, &source, rule, stored).await,
        Err(error) => (Fetched::Failed(FetchProblem::from(&error)), None),
    }
}

/// Fetches an image list.
async fn fetch_list<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    origin: &ListOrigin,
    memory: Option<&ListMemory>,
) -> FetchedAt {
    let trust = &context.settings.trust_directory;
    let source = match source(&*context.store, &checked.key.namespace, origin, &checked.url, trust).await {
        Ok(source) => source,
        Err(error) => return (Fetched::Failed(FetchProblem::from(&error)), None),
    };
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

/// Requests the list. If it has not changed, checks whether its detached signatures have; if so, requests the whole
/// list again.
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

/// The digest of the subscription's address, and of how it is read.
pub(super) fn address(checked: &Checked) -> Sha256Digest {
    let url = checked.url.url();
    match &checked.format {
        ListFormat::Hepix => Sha256Digest::of(url.as_str().as_bytes()),
        ListFormat::Checksums(_) => Sha256Digest::of(format!("checksums {url}").as_bytes()),
        ListFormat::SimpleStreams(rule) => {
            Sha256Digest::of(format!("simpleStreams {url} {}", rule.content_id()).as_bytes())
        }
        ListFormat::Oci(rule) => Sha256Digest::of(rule.described().as_bytes()),
    }
}

impl FetchProblem {
    /// The fetched data cannot be written to the volume, or read from it.
    pub(super) fn not_kept(url: &SourceUrl, error: &std::io::Error) -> Self {
        Self::from(&FetchError::NotKept { url: url.clone(), message: error.to_string() })
    }
}

impl From<&FetchError> for FetchProblem {
    fn from(error: &FetchError) -> Self {
        let retry_after = error.retry_after();
        Self { reason: error.reason(), message: error.to_string(), class: error.class(), retry_after }
    }
}

impl From<&SourceError> for FetchProblem {
    fn from(error: &SourceError) -> Self {
        Self { reason: error.reason(), message: error.to_string(), class: error.class(), retry_after: None }
    }
}
