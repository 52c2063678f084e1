//! The events of an image: what the volume and the clouds have is announced, and handlers are asked before a step.

use std::path::Path;

use jiff::Timestamp;

use super::check::Checked;
use super::observed::Observed;
use super::plan::{Plan, Step};
use super::policy::{is_asked_anew, is_revoked};
use crate::api::Kind;
use crate::cache::{Entries, Entry};
use crate::events::{Event, EventType, ImageMetadata, Object};
use crate::imagelist::{ListVersion, ListedImage, Sha512Digest};
use crate::reconcile::announced::{self, Announced, object, of_list_entry};
use crate::reconcile::context::Context;
use crate::reconcile::step::StepProblem;
use crate::store::ResourceStore;

/// Announces what has changed since the last announcement.
pub(super) fn announce<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    entries: &Entries,
    now: Timestamp,
) -> Result<(), StepProblem> {
    // What could not be read is not gone.
    if !context.events.are_wanted() || observed.trouble.is_some() {
        return Ok(());
    }
    let before = announced::read(context, &checked.key)?;
    let mut announced = before.clone().unwrap_or_else(|| known_from_status(checked, observed));
    let of = object(Kind::Image, &checked.key);
    let file = |folder: &str, entry: &Entry| relative(&observed.root.join(folder), &entry.path);
    let cached = entries.endorsed.iter().map(|entry| ImageMetadata {
        file_name: file("endorsed", entry),
        ..metadata(checked, observed, &announced, &entry.version, &entry.digest)
    });
    let cached = cached.collect();
    let mut events = announced.cache(&of, cached, |image| {
        let is_it =
            |entry: &&Entry| entry.version.as_str() == image.version && entry.digest.to_string() == image.sha512;
        file("expired", entries.expired.iter().rev().find(is_it)?)
    });
    events.extend(publications(checked, observed, &of, &mut announced));
    if before.as_ref() == Some(&announced) {
        return Ok(());
    }
    announced::announce(context, &checked.key, &announced, events, now)
}

/// The events of the versions at targets.
fn publications(checked: &Checked, observed: &Observed, of: &Object, announced: &mut Announced) -> Vec<Event> {
    let mut events = Vec::new();
    for (target, status) in &observed.targets.statuses {
        let version = status.published.as_ref().map(|published| published.version.parse::<ListVersion>());
        let published = match (&status.published, version) {
            (Some(published), Some(Ok(version))) => {
                Some(metadata(checked, observed, announced, &version, &published.sha512))
            }
            (None, None) if status.withdrawn => None,
            // The last pass of the target could not determine it.
            _ => continue,
        };
        events.extend(announced.publish(of, target, published));
    }
    events
}

/// What an operator that had no sink before would have announced, according to the status.
fn known_from_status(checked: &Checked, observed: &Observed) -> Announced {
    let mut announced = Announced::default();
    let known = |digest: &str| digest.parse::<Sha512Digest>().ok();
    if let Some(digest) = observed.status.artifact.as_ref().and_then(|artifact| known(&artifact.sha512)) {
        let entries = observed.entries.endorsed.iter().filter(|entry| entry.digest == digest);
        announced.cached =
            entries.map(|entry| metadata(checked, observed, &announced, &entry.version, &entry.digest)).collect();
    }
    for target in observed.status.targets.iter().filter(|target| target.id.is_some()) {
        let version = target.version.as_deref().and_then(|version| version.parse::<ListVersion>().ok());
        if let (Some(version), Some(digest)) = (version, target.sha512.as_deref().and_then(known)) {
            let image = metadata(checked, observed, &announced, &version, &digest);
            announced.published.insert(target.name.clone(), image);
        }
    }
    announced
}

/// Asks the handlers before the cache changes: first about versions that leave, then about those that come, as vmcatcher
/// did. The removal of a revoked version cannot be vetoed.
pub(super) async fn ask<S: ResourceStore>(
    context: &Context<S>,
    checked: &Checked,
    observed: &Observed,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), StepProblem> {
    if !context.events.are_wanted() {
        return Ok(());
    }
    let announced = announced::read(context, &checked.key)?.unwrap_or_default();
    let revoked = is_revoked(observed);
    let anew = is_asked_anew(checked, observed);
    let about = |kind: EventType, path: &Path, version: &ListVersion, digest: &Sha512Digest| {
        let file_name = relative(&observed.root.join("endorsed"), path);
        let image = ImageMetadata { file_name, ..metadata(checked, observed, &announced, version, digest) };
        context.events.before(kind, (object(Kind::Image, &checked.key), None), image, now)
    };
    for step in &plan.steps {
        if let Step::Archive(entry) = step {
            let event = about(EventType::Expire, &entry.path, &entry.version, &entry.digest);
            if revoked {
                context.events.announce(&event).await;
            } else {
                context.events.ask(&event, anew).await?;
            }
        }
    }
    for step in &plan.steps {
        if let Step::Publish { version, blob, .. } = step {
            context.events.ask(&about(EventType::Available, blob.path(), version, blob.digest()), anew).await?;
        }
    }
    Ok(())
}

/// The metadata of a version: as it was announced, else from the lists that are known; else only what identifies it.
fn metadata(
    checked: &Checked,
    observed: &Observed,
    announced: &Announced,
    version: &ListVersion,
    digest: &Sha512Digest,
) -> ImageMetadata {
    let sha512 = digest.to_string();
    let is_it = |image: &&ImageMetadata| image.sha512 == sha512 && image.version == version.as_str();
    if let Some(known) = announced.cached.iter().chain(announced.published.values()).find(is_it) {
        return known.clone();
    }
    let lists = observed.list.iter().flat_map(|list| {
        let withdrawn = list.withdrawn.iter().map(|withdrawn| &withdrawn.accepted);
        std::iter::once(&list.accepted).chain(&list.older).chain(withdrawn)
    });
    let listed = lists.map(|accepted| accepted.list()).find_map(|list| {
        let is_it =
            |image: &&ListedImage| image.identifier == checked.image.identifier && image.sha512() == Some(*digest);
        Some(of_list_entry(list.images.iter().find(is_it)?, &list.identifier, list.vo.as_deref()))
    });
    listed.unwrap_or_else(|| ImageMetadata {
        identifier: checked.image.identifier.to_string(),
        version: version.to_string(),
        sha512,
        ..ImageMetadata::default()
    })
}

/// The path relative to a directory of the volume, which may be beside it.
fn relative(directory: &Path, path: &Path) -> Option<String> {
    let below = |top: &Path| path.strip_prefix(top).ok().and_then(Path::to_str).map(str::to_owned);
    below(directory).or_else(|| Some(format!("../{}", below(directory.parent()?)?)))
}
