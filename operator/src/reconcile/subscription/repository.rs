//! Fetches a repository of OCI artefacts: the tags, the manifest of each, and what may be its signatures. What the last
//! message has and what did not change is not fetched again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::check::Checked;
use super::fetched::{Fetched, FetchedAt};
use super::problem::FetchProblem;
use crate::fetch::{Client, Document, FetchError, FetchedManifest, Registry, Source};
use crate::imagelist::oci::{
    Candidate, CandidateForm, MAXIMUM_CANDIDATES, MAXIMUM_PAYLOAD, MAXIMUM_TAGS, Manifest, MessageError, OciRule,
    RepositoryMessage, Tag, TaggedManifest, WantedTags, bundles, is_index, only_manifest, simple_signatures,
};
use crate::metrics::Work;
use crate::reconcile::exchange::Message;
use crate::trust::Sha256Digest;

/// How many tags are fetched at once.
const AT_ONCE: usize = 4;

/// Fetches the repository of a subscription within its time-out.
pub(super) async fn observe(
    client: &Client,
    checked: &Checked,
    source: &Source,
    rule: &OciRule,
    stored: Option<&Document>,
) -> FetchedAt {
    let known = stored.and_then(|stored| RepositoryMessage::read(&stored.read().ok()?).ok());
    let work = tokio::time::timeout(checked.timeout, fetch(client, source, rule, known.as_ref()));
    let late = |_| FetchError::Timeout {
        url: source.url.clone(),
        message: format!("expected the whole repository within {:?}", checked.timeout),
    };
    let metrics = &client.settings().metrics;
    let (message, date) = match work.await.map_err(late).flatten() {
        Ok((message, date)) if known.as_ref() == Some(&message) => return (Fetched::NotModified, date),
        Ok(fetched) => fetched,
        Err(error) => {
            metrics.retried(Work::List, error.reason());
            return (Fetched::Failed(FetchProblem::from(&error)), None);
        }
    };
    let bytes = message.to_bytes();
    let limit = client.settings().list_limit;
    if bytes.len() as u64 > limit {
        let found = bytes.len().to_string();
        let error = FetchError::TooLarge { url: source.url.clone(), limit, found };
        return (Fetched::Failed(FetchProblem::from(&error)), date);
    }
    metrics.fetched(Work::List, bytes.len() as u64);
    match Document::put_by(bytes, client.settings().documents.as_deref()) {
        Ok(document) => {
            let message = Message { document, validator: None, beside: Vec::new(), came: String::new() };
            (Fetched::Message(message), date)
        }
        Err(error) => (Fetched::Failed(FetchProblem::not_kept(&source.url, &error)), date),
    }
}

/// One fetch of a repository.
struct Fetch<'a> {
    registry: Registry<'a>,
    known: Option<&'a RepositoryMessage>,
    /// The tags of the repository; `None` if they were not asked for.
    tags: Option<BTreeSet<Tag>>,
    /// Whether the registry answered that it has no API for referrers.
    lacks_referrers: AtomicBool,
}

/// Fetches a repository, and the server's `Date`. A failed request fails the whole fetch: nothing is missing from a
/// message because of it.
pub(super) async fn fetch(
    client: &Client,
    source: &Source,
    rule: &OciRule,
    known: Option<&RepositoryMessage>,
) -> Result<(RepositoryMessage, Option<Timestamp>), FetchError> {
    let registry = Registry::new(client, source, &rule.repository, rule.insecure);
    let known = known.filter(|known| known.repository == rule.repository);
    let (tags, wanted, date) = match &rule.wanted {
        WantedTags::Pinned(digest) => (None, vec![(None, digest.to_string())], None),
        WantedTags::Matching(_) => {
            let (tags, date) = registry.tags().await?;
            let tags: BTreeSet<Tag> = tags.into_iter().collect();
            let taken = tags.iter().filter(|tag| rule.takes(Some(tag)));
            let wanted: Vec<_> = taken.map(|tag| (Some(tag.clone()), tag.to_string())).collect();
            (Some(tags), wanted, date)
        }
    };
    if wanted.len() > MAXIMUM_TAGS {
        let message =
            format!("expected at most {MAXIMUM_TAGS} tags that source.oci.tags takes, found {}", wanted.len());
        return Err(FetchError::Unreadable { url: source.url.clone(), message });
    }
    let fetch = Fetch { registry, known, tags, lacks_referrers: AtomicBool::new(false) };
    let fetched = futures::stream::iter(wanted).map(|(tag, reference)| fetch.one(tag, reference)).buffered(AT_ONCE);
    let tagged: Vec<TaggedManifest> = fetched.try_collect().await?;
    let too_large =
        |error: MessageError| FetchError::Unreadable { url: source.url.clone(), message: error.to_string() };
    let message = RepositoryMessage::new(rule.repository.clone(), rule.insecure, tagged).map_err(too_large)?;
    Ok((message, date))
}

impl Fetch<'_> {
    async fn one(&self, tag: Option<Tag>, reference: String) -> Result<TaggedManifest, FetchError> {
        let known = self.known.and_then(|known| known.tags.iter().find(|known| known.tag == tag));
        let unchanged = match known.filter(|known| is_whole(known)) {
            Some(known) => (self.registry.digest(&reference).await? == Some(known.digest)).then_some(known),
            None => None,
        };
        let mut tagged = match unchanged {
            Some(known) => known.clone(),
            None => self.named_by(tag, &reference).await?,
        };
        tagged.candidates = self.candidates(&tagged.digest, known).await?;
        Ok(tagged)
    }

    /// The manifest of a tag. An index is resolved if it has one manifest; another one is refused when it is verified.
    async fn named_by(&self, tag: Option<Tag>, reference: &str) -> Result<TaggedManifest, FetchError> {
        let FetchedManifest { bytes, digest } = self.registry.manifest(reference).await?;
        let (index, manifest) = if is_index(&bytes) {
            let manifest = match only_manifest(&bytes) {
                Ok(only) => self.registry.manifest(&only.to_string()).await?.bytes,
                Err(_) => Vec::new(),
            };
            (Some(bytes), manifest)
        } else {
            (None, bytes)
        };
        Ok(TaggedManifest { tag, digest, index, manifest, candidates: Vec::new() })
    }

    /// What may be signatures of a manifest: its referrers, or else those of the tag that lists them, and the tag of
    /// cosign's older form.
    async fn candidates(
        &self,
        digest: &Sha256Digest,
        known: Option<&TaggedManifest>,
    ) -> Result<Vec<Candidate>, FetchError> {
        let known = known.map(|known| known.candidates.as_slice()).unwrap_or_default();
        let stem = format!("sha256-{}", digest.digits());
        let index = match self.referrers(*digest).await? {
            Some(index) => Some(index),
            None => self.hint(&stem).await?.map(|fetched| fetched.bytes),
        };
        let mut found = Vec::new();
        let listed = index.and_then(|index| bundles(&index).ok()).unwrap_or_default();
        for manifest in listed.into_iter().take(MAXIMUM_CANDIDATES) {
            match of_manifest(known, manifest) {
                kept if kept.is_empty() => found.extend(self.bundles(manifest).await?),
                kept => found.extend(kept),
            }
        }
        found.extend(self.simple(&format!("{stem}.sig"), known).await?);
        found.truncate(MAXIMUM_CANDIDATES);
        Ok(found)
    }

    async fn referrers(&self, digest: Sha256Digest) -> Result<Option<Vec<u8>>, FetchError> {
        if self.lacks_referrers.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let index = self.registry.referrers(digest).await?;
        self.lacks_referrers.fetch_or(index.is_none(), Ordering::Relaxed);
        Ok(index)
    }

    /// The bundles in a manifest that is a referrer.
    async fn bundles(&self, digest: Sha256Digest) -> Result<Vec<Candidate>, FetchError> {
        let Some(fetched) = there(self.registry.manifest(&digest.to_string()).await)? else { return Ok(Vec::new()) };
        let Ok(manifest) = Manifest::read(&fetched.bytes) else { return Ok(Vec::new()) };
        let layers = manifest.bundle_layers().filter(|layer| layer.size <= MAXIMUM_PAYLOAD as u64);
        let mut found = Vec::new();
        for blob in layers.filter_map(|layer| layer.sha256().ok()).take(MAXIMUM_CANDIDATES) {
            if let Some(bytes) = self.registry.blob(blob, MAXIMUM_PAYLOAD).await? {
                found.push(Candidate { form: CandidateForm::Bundle, bytes, digest: blob, manifest: digest });
            }
        }
        Ok(found)
    }

    /// The signatures of the older form at a tag.
    async fn simple(&self, tag: &str, known: &[Candidate]) -> Result<Vec<Candidate>, FetchError> {
        if !self.may_have(tag) {
            return Ok(Vec::new());
        }
        if known.iter().any(|one| matches!(one.form, CandidateForm::SimpleSigning { .. })) {
            let digest = there(self.registry.digest(tag).await)?.flatten();
            let kept = digest.map(|digest| of_manifest(known, digest)).unwrap_or_default();
            if !kept.is_empty() {
                return Ok(kept);
            }
        }
        let Some(fetched) = self.hint(tag).await? else { return Ok(Vec::new()) };
        let Ok(manifest) = Manifest::read(&fetched.bytes) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (layer, signature) in simple_signatures(&manifest).take(MAXIMUM_CANDIDATES) {
            let Some(digest) = layer.sha256().ok().filter(|_| layer.size <= MAXIMUM_PAYLOAD as u64) else { continue };
            if let Some(bytes) = self.registry.blob(digest, MAXIMUM_PAYLOAD).await? {
                let form = CandidateForm::SimpleSigning { signature };
                found.push(Candidate { form, bytes, digest, manifest: fetched.digest });
            }
        }
        Ok(found)
    }

    /// A manifest or an index at the tag of a signature, if there is one.
    async fn hint(&self, tag: &str) -> Result<Option<FetchedManifest>, FetchError> {
        if self.may_have(tag) { there(self.registry.manifest(tag).await) } else { Ok(None) }
    }

    /// Whether the repository has a tag, as far as is known.
    fn may_have(&self, tag: &str) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.iter().any(|one| one.as_str() == tag))
    }
}

/// The candidates that a manifest names, from the last message.
fn of_manifest(known: &[Candidate], manifest: Sha256Digest) -> Vec<Candidate> {
    let is_whole = |one: &&Candidate| one.manifest == manifest && Sha256Digest::of(&one.bytes) == one.digest;
    known.iter().filter(is_whole).cloned().collect()
}

/// Whether what was stored is what its digest says.
fn is_whole(known: &TaggedManifest) -> bool {
    let manifest = known.index.as_ref().map_or(Ok(known.digest), |index| only_manifest(index));
    Sha256Digest::of(known.named()) == known.digest && manifest == Ok(Sha256Digest::of(&known.manifest))
}

/// `None` for what is not there.
fn there<T>(answer: Result<T, FetchError>) -> Result<Option<T>, FetchError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(FetchError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
