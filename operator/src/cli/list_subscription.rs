//! The subscription that `list verify` and `list show` name: from a folder of manifests, or from the state on a volume.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::dry_run::empty_volume;
use super::list_source::read_manifests;
use crate::anchors::{AnchorProblem, TrustDirectory};
use crate::api::{ImageListSubscription, Kind, ObjectKey};
use crate::cache::JobLimits;
use crate::events::EventSettings;
use crate::fetch::{Client, ClientSettings};
use crate::imagelist::ListFormat;
use crate::reconcile::subscription::{Published, format};
use crate::reconcile::{Context, Settings};
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;
use crate::text::nearest;
use crate::trust::AlgorithmPolicy;

/// The maximum number of names in a message.
const MOST_NAMES: usize = 10;

/// A subscription, and how its source is asked.
pub(super) struct Asked<'a> {
    /// `[NAMESPACE/]NAME`.
    pub name: &'a str,
    /// The folder of manifests.
    pub manifests: &'a Path,
    /// The trust directory.
    pub trust: &'a Path,
    /// The digests and keys that a signature may use.
    pub algorithms: AlgorithmPolicy,
    /// The largest size of a list, in bytes.
    pub list_limit: u64,
}

/// What a source has now.
pub(super) struct Answered {
    /// The subscription.
    pub key: ObjectKey,
    /// What was fetched.
    pub published: Published,
    /// The files of the trust directory that cannot be used.
    pub anchor_problems: Vec<AnchorProblem>,
}

/// The key that `[NAMESPACE/]NAME` means.
fn key(text: &str) -> anyhow::Result<ObjectKey> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        bail!("expected the name of a subscription as [NAMESPACE/]NAME, found {text:?}");
    }
    Ok(ObjectKey::new(namespace, name))
}

/// Asks the source of a subscription, as the operator does. Nothing is written, except in a temporary folder.
pub(super) fn ask(asked: &Asked<'_>) -> anyhow::Result<Answered> {
    let key = key(asked.name)?;
    let directory = read_manifests(asked.manifests)?;
    let object = find(&directory, &key, asked.manifests)?;
    let (volume, _empty) = empty_volume()?;
    let (anchors, anchor_problems) = TrustDirectory::open(asked.trust);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let published = runtime.block_on(async {
        let settings = ClientSettings { allow_files: true, list_limit: asked.list_limit, ..ClientSettings::default() };
        let client = Client::new(&settings)?;
        let settings = Settings {
            instance: String::new(),
            trust_directory: asked.trust.to_owned(),
            algorithms: asked.algorithms,
            // Whether an operator allows it is for its own options to say.
            allow_auto_endorse: true,
            events: EventSettings::default(),
        };
        let context = Context::new(directory, volume, client, JobLimits::default(), anchors, settings);
        Ok::<_, anyhow::Error>(Published::fetch(&context, &object, Timestamp::now()).await?)
    });
    let published = published.with_context(|| format!("ImageListSubscription {key}"))?;
    Ok(Answered { key, published, anchor_problems })
}

/// How the source of a subscription is read: as its manifest says, or else the state that a run without a cluster keeps on
/// the volume.
pub(super) fn known_format(key: &ObjectKey, manifests: Option<&Path>, volume: &Path) -> anyhow::Result<ListFormat> {
    let manifest =
        manifests.map(read_manifests).transpose()?.and_then(|directory| directory.get::<ImageListSubscription>(key));
    let object = match manifest {
        Some(object) => Some(object),
        None => kept(volume).get::<ImageListSubscription>(key),
    };
    let expected = || {
        format!(
            "expected the manifest of ImageListSubscription {key}, whose source says how the files that were kept of it become \
             a list, found none {}",
            manifests.map_or_else(
                || format!("in {}; name the folder of manifests with --manifests", volume.join("state").display()),
                |folder| format!("in {}", folder.display())
            )
        )
    };
    Ok(format(&object.with_context(expected)?.spec.source)?)
}

/// A hint for a name that no list on a volume has: the nearest one that is known.
pub(super) fn hint(key: &ObjectKey, manifests: Option<&Path>, volume: &Path) -> String {
    let directory = manifests.and_then(|folder| read_manifests(folder).ok()).unwrap_or_else(|| kept(volume));
    similar(&directory, key)
}

/// The resources that earlier runs stored on a volume; none if there are none.
fn kept(volume: &Path) -> Directory {
    let state = volume.join("state");
    Directory::open(&state, &state).0
}

/// The subscription. The error names an object of another kind, or similar names.
fn find(directory: &Directory, key: &ObjectKey, place: &Path) -> anyhow::Result<Arc<ImageListSubscription>> {
    if let Some(object) = directory.get::<ImageListSubscription>(key) {
        return Ok(object);
    }
    let others = [Kind::Endorser, Kind::Image, Kind::Target];
    let found = match others.into_iter().find(|kind| directory.has(*kind, key)) {
        Some(kind) => format!("the {kind} of this name"),
        None => "none".to_owned(),
    };
    bail!("expected the ImageListSubscription {key} in {}, found {found}{}", place.display(), similar(directory, key))
}

/// The subscriptions with a similar name, or else all of them, as the end of a message.
fn similar(directory: &Directory, key: &ObjectKey) -> String {
    let known: Vec<ObjectKey> =
        directory.all::<ImageListSubscription>().iter().map(|one| ObjectKey::of(&**one)).collect();
    let elsewhere = known.iter().filter(|one| one.name == key.name).map(ToString::to_string);
    let mut near: Vec<String> = elsewhere.take(MOST_NAMES).collect();
    if near.is_empty() {
        let shown: Vec<String> = known.iter().map(ToString::to_string).collect();
        near.extend(nearest(&key.to_string(), shown.iter().map(String::as_str)).map(str::to_owned));
    }
    if !near.is_empty() {
        return format!("; is it {}?", near.join(" or "));
    }
    let first: Vec<String> = known.iter().take(MOST_NAMES).map(ToString::to_string).collect();
    let more = if known.len() > MOST_NAMES { ", and more" } else { "" };
    if first.is_empty() { String::new() } else { format!("; there are {}{more}", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_one_object() {
        for (text, expected) in [("vo", Some(("default", "vo"))), ("prod/vo", Some(("prod", "vo")))] {
            let found = key(text).ok();
            assert_eq!(found.as_ref().map(|key| (key.namespace.as_str(), key.name.as_str())), expected, "{text}");
        }
        for text in ["", "/vo", "prod/", "a/b/c"] {
            assert!(key(text).unwrap_err().to_string().contains("as [NAMESPACE/]NAME"), "{text}");
        }
    }
}
