//! One image: what is wanted, its versions, where they are published, and what runs. Pure.

use std::sync::Arc;

use askama::Template;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::frame::{Frame, Request, page_of};
use super::health;
use super::running::Running;
use super::shown::{Address, Moment, State, Text};
use super::withheld::withheld;
use crate::api::{
    Artifact, CachedImage, HasConditions as _, ImageListSubscription, ObjectKey, TargetStatus, VersionStatus,
    WantedImage,
};
use crate::cache::{Entries, Entry};
use crate::imagelist::Sha512Digest;
use crate::reconcile::ListInForce;
use crate::serve::progress::ProgressPage;
use crate::size::Size;

/// The page.
#[derive(Template)]
#[template(path = "image.html")]
pub(super) struct ImagePage {
    frame: Frame,
    key: ObjectKey,
    state: State,
    findings: Vec<(State, Text, Text)>,
    wanted: Option<Wanted>,
    artifact: Option<OnVolume>,
    notes: Vec<Text>,
    subscription: Text,
    subscription_page: String,
    versions: Vec<Version>,
    targets: Vec<Target>,
    conditions: Vec<ConditionRow>,
    running: Running,
}

/// What an image is made of.
pub(super) struct Parts {
    pub object: Arc<CachedImage>,
    pub subscription: Option<Arc<ImageListSubscription>>,
    pub list: Option<Arc<ListInForce>>,
    pub entries: Entries,
    pub progress: ProgressPage,
}

struct Wanted {
    version: Text,
    system: Text,
    hypervisor: Text,
    size: String,
    digest: Text,
    uri: Address,
    list_version: Text,
    created: Moment,
    expires: Moment,
    since: Moment,
}

struct OnVolume {
    version: Text,
    format: Text,
    size: String,
    disk: String,
    path: Text,
    verified: Moment,
}

/// A version that is known.
struct Version {
    name: Text,
    digest: Text,
    place: &'static str,
    size: String,
    list: Text,
    archived: Option<Moment>,
    /// The address of its page, if its bytes are on the volume.
    page: Option<String>,
    /// Why its bytes are not given out.
    withheld: Option<Text>,
}

struct Target {
    name: Text,
    state: State,
    id: Text,
    image_name: Text,
    version: Text,
    since: Option<Moment>,
    retired: u32,
    message: Text,
}

/// A row of a table of conditions.
pub(super) struct ConditionRow {
    pub name: Text,
    pub status: Text,
    pub reason: Text,
    pub message: Text,
    pub since: Moment,
}

impl ConditionRow {
    /// The rows of conditions.
    pub(super) fn all(conditions: &[Condition], now: Timestamp) -> Vec<Self> {
        let row = |condition: &Condition| Self {
            name: Text::of(&condition.type_),
            status: Text::of(&condition.status),
            reason: Text::of(&condition.reason),
            message: Text::of(&condition.message),
            since: Moment::of(condition.last_transition_time.0, now),
        };
        conditions.iter().map(row).collect()
    }
}

impl ImagePage {
    /// Makes the page.
    pub(super) fn of(request: &Request, parts: &Parts) -> Self {
        let (object, now) = (&*parts.object, request.now);
        let key = ObjectKey::of(object);
        let status = object.status.clone().unwrap_or_default();
        let title = status.image.as_ref().map(|wanted| wanted.title.clone()).filter(|title| !title.is_empty());
        let found = health::of_image(object, now);
        let subscription = &object.spec.subscription_ref.name;
        Self {
            frame: Frame::of(request, title.as_deref().unwrap_or(&object.spec.identifier), "Images"),
            state: health::state(&found),
            findings: health::shown(&found),
            wanted: status.image.as_ref().map(|wanted| Wanted::of(wanted, now)),
            artifact: status.artifact.as_ref().map(|artifact| OnVolume::of(artifact, now)),
            notes: notes(object),
            subscription: Text::of(subscription),
            subscription_page: page_of("subscriptions", &key.sibling(subscription)),
            versions: versions(parts, &status.versions, now),
            targets: status.targets.iter().map(|target| Target::of(target, now)).collect(),
            conditions: ConditionRow::all(&status.conditions, now),
            running: Running::of(&parts.progress, Some(&key)),
            key,
        }
    }
}

/// What a person said about the image.
fn notes(object: &CachedImage) -> Vec<Text> {
    let spec = &object.spec;
    let version = spec.version.as_ref().map(|version| format!("pinned to version {version}"));
    let content = spec.sha512.as_ref().map(|sha512| format!("pinned to SHA-512 {sha512}"));
    let kept = spec.keep_until.as_ref().map(|until| format!("kept until {}", until.0));
    let suspended = spec.suspend.then(|| "suspended".to_owned());
    [version, content, kept, suspended].into_iter().flatten().map(Text::of).collect()
}

impl Wanted {
    fn of(wanted: &WantedImage, now: Timestamp) -> Self {
        let digest = match (&wanted.sha512, &wanted.sha256) {
            (Some(sha512), _) => format!("sha512:{sha512}"),
            (None, Some(sha256)) => format!("sha256:{sha256}"),
            (None, None) => String::new(),
        };
        Self {
            version: Text::of(&wanted.version),
            system: Text::of(format!("{} {} {}", wanted.os, wanted.os_version, wanted.arch)),
            hypervisor: Text::of(&wanted.hypervisor),
            size: wanted.size.map(|size| Size(size).to_string()).unwrap_or_default(),
            digest: Text::of(digest),
            uri: Address::of(&wanted.uri),
            list_version: Text::of(&wanted.list_version),
            created: Moment::of(wanted.created.0, now),
            expires: Moment::of(wanted.expires.0, now),
            since: Moment::of(wanted.wanted_since.0, now),
        }
    }
}

impl OnVolume {
    fn of(artifact: &Artifact, now: Timestamp) -> Self {
        Self {
            version: Text::of(&artifact.version),
            format: Text::of(&artifact.format),
            size: Size(artifact.size).to_string(),
            disk: artifact.virtual_size.map(|size| Size(size).to_string()).unwrap_or_default(),
            path: Text::of(&artifact.path),
            verified: Moment::of(artifact.last_verified_time.0, now),
        }
    }
}

/// The versions on the volume, then those that only lists have.
fn versions(parts: &Parts, known: &[VersionStatus], now: Timestamp) -> Vec<Version> {
    let is = |one: &VersionStatus, entry: &Entry| {
        one.version == entry.version.as_str()
            && one.sha512.as_deref().and_then(|text| text.parse().ok()) == Some(entry.digest)
    };
    let mut found = Vec::new();
    let archived = parts.entries.expired.iter().rev().map(|entry| ("archive", entry));
    for (place, entry) in parts.entries.endorsed.iter().rev().map(|entry| ("cache", entry)).chain(archived) {
        let status = known.iter().find(|one| is(one, entry));
        found.push(on_volume(parts, place, entry, status, now));
    }
    let all = || parts.entries.endorsed.iter().chain(&parts.entries.expired);
    found.extend(known.iter().filter(|one| !all().any(|entry| is(one, entry))).map(|one| Version {
        name: Text::of(&one.version),
        digest: Text::of(one.sha512.as_deref().or(one.sha256.as_deref()).unwrap_or_default()),
        place: if one.state == "OlderList" { "an older list" } else { "the list" },
        size: size(one),
        list: Text::of(one.list_version.as_deref().unwrap_or_default()),
        archived: None,
        page: None,
        withheld: None,
    }));
    found
}

fn on_volume(
    parts: &Parts,
    place: &'static str,
    entry: &Entry,
    status: Option<&VersionStatus>,
    now: Timestamp,
) -> Version {
    let reason = parts.withheld(&entry.digest);
    Version {
        name: Text::of(entry.version.as_str()),
        digest: Text::of(entry.digest.to_string()),
        place,
        size: status.map(size).unwrap_or_default(),
        list: Text::of(status.and_then(|one| one.list_version.as_deref()).unwrap_or_default()),
        archived: entry.archived_time.map(|at| Moment::of(at, now)),
        page: reason.is_none().then(|| version_page(&ObjectKey::of(&*parts.object), &entry.digest)),
        withheld: reason.map(Text::of),
    }
}

fn size(one: &VersionStatus) -> String {
    one.size.map(|size| Size(size).to_string()).unwrap_or_default()
}

impl Parts {
    /// Why a version is not given out; `None` if it is.
    pub(super) fn withheld(&self, digest: &Sha512Digest) -> Option<String> {
        withheld(&self.object, self.subscription.as_deref(), self.list.as_deref(), digest)
    }

    /// The version with this content on the volume. That in circulation comes first.
    pub(super) fn entry(&self, digest: &Sha512Digest) -> Option<&Entry> {
        self.entries.endorsed.iter().chain(&self.entries.expired).find(|entry| entry.digest == *digest)
    }
}

/// The address of the page of a version.
pub(super) fn version_page(key: &ObjectKey, digest: &Sha512Digest) -> String {
    format!("{}/{digest}", page_of("images", key))
}

impl Target {
    fn of(target: &TargetStatus, now: Timestamp) -> Self {
        let published = target.condition("Published");
        let state = match published.map(|condition| (condition.status.as_str(), condition.reason.as_str())) {
            Some(("True", _)) => State::Good,
            Some((_, "Importing" | "Converting")) => State::Working,
            Some(("False", _)) => State::Failing,
            Some(_) | None => State::Waiting,
        };
        Self {
            name: Text::of(&target.name),
            state,
            id: Text::of(target.id.as_deref().unwrap_or_default()),
            image_name: Text::of(target.image_name.as_deref().unwrap_or_default()),
            version: Text::of(target.version.as_deref().unwrap_or_default()),
            since: target.published_time.as_ref().map(|at| Moment::of(at.0, now)),
            retired: target.retired,
            message: Text::of(published.map(|condition| condition.message.as_str()).unwrap_or_default()),
        }
    }
}
