//! The state of an image at its targets. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Progress, TargetStatus};
use crate::cloud::CloudImageId;
use crate::reconcile::exchange::PublicationStatus;

/// The state of an image at the targets that it names, or where it was published.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    /// The targets that the image, or its subscription, names.
    pub named: Vec<String>,
    /// The state at these targets and at previous ones, if a pass of the target has set it.
    pub statuses: BTreeMap<String, PublicationStatus>,
    /// Targets without an object.
    pub missing: Vec<String>,
    /// Targets that are being deleted.
    pub leaving: Vec<String>,
    /// Targets where images of it may exist that its status does not have, according to the volume: an unfinished
    /// registration, or all images if the object was created again. With the ids in the cloud.
    pub recorded: BTreeMap<String, Vec<CloudImageId>>,
}

impl Targets {
    /// The targets where anything of the image is in circulation or being registered, as far as it is known.
    pub(super) fn holding<'a>(&'a self, before: &'a [TargetStatus]) -> Vec<&'a str> {
        let told = before.iter().filter(|target| target.id.is_some()).map(|target| target.name.as_str());
        let all: BTreeSet<&str> = told.chain(self.recorded.keys().map(String::as_str)).collect();
        let withdrawn = |name: &str| self.statuses.get(name).is_some_and(|status| status.withdrawn);
        all.into_iter().filter(|name| !withdrawn(name)).collect()
    }

    /// Whether anything of the image is in circulation at a target, or may soon be.
    pub(super) fn may_have(&self, before: &[TargetStatus], name: &str) -> bool {
        let told = before.iter().any(|target| target.name == name && target.id.is_some());
        told || self.recorded.contains_key(name)
    }

    /// The image at a target as text, with its id in the cloud if it is known.
    pub(super) fn image_at(&self, before: &[TargetStatus], name: &str) -> String {
        let told = at(before, name).and_then(|target| target.id.clone());
        let recorded = || self.recorded.get(name)?.last().map(ToString::to_string);
        match told.or_else(recorded) {
            Some(id) => format!("image {id} at {name}"),
            None => format!("an image on its way at {name}"),
        }
    }

    /// The progress of the first conversion that one of the targets waits for.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.statuses.values().find_map(|status| status.progress.clone())
    }

    /// Whether anything of the image is in circulation at any target.
    pub(super) fn hold(&self, before: &[TargetStatus]) -> bool {
        !self.holding(before).is_empty()
    }

    /// Whether the image can no longer be taken out of circulation: each target that has it, or that target's Secret,
    /// is gone.
    pub(super) fn are_lost(&self, before: &[TargetStatus]) -> bool {
        let no_secret = |status: &PublicationStatus| status.reason == "SecretNotFound";
        self.hold(before)
            && self.holding(before).into_iter().all(|name| {
                self.missing.iter().any(|missing| missing == name) || self.statuses.get(name).is_some_and(no_secret)
            })
    }
}

/// The status of a target by its name.
pub(super) fn at<'a>(targets: &'a [TargetStatus], name: &str) -> Option<&'a TargetStatus> {
    targets.iter().find(|target| target.name == name)
}
