//! An image and its targets: what it wants of them, and how it stands there. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Progress, TargetStatus};
use crate::reconcile::exchange::PublicationStatus;

/// How an image stands at the targets that it names, or was published at.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    /// The targets that the image, or its subscription, names.
    pub named: Vec<String>,
    /// Of those and of the ones before: how it stands there, where a pass of the target has said.
    pub standings: BTreeMap<String, PublicationStatus>,
    /// Targets that are no objects.
    pub missing: Vec<String>,
    /// Targets that are being deleted.
    pub leaving: Vec<String>,
    /// Targets where something of it may be that its status does not tell of, as the volume knows: a registration that
    /// was begun and of which nobody saw the end, or all of it where the object was made anew. With the ids there.
    pub recorded: BTreeMap<String, Vec<u32>>,
}

impl Targets {
    /// The targets where anything of the image is in circulation, or on its way, as far as it is known.
    pub(super) fn holding<'a>(&'a self, before: &'a [TargetStatus]) -> Vec<&'a str> {
        let told = before.iter().filter(|target| target.id.is_some()).map(|target| target.name.as_str());
        let all: BTreeSet<&str> = told.chain(self.recorded.keys().map(String::as_str)).collect();
        let withdrawn = |name: &str| self.standings.get(name).is_some_and(|standing| standing.withdrawn);
        all.into_iter().filter(|name| !withdrawn(name)).collect()
    }

    /// Whether anything of the image is, or may be about to come, in circulation there.
    pub(super) fn may_have(&self, before: &[TargetStatus], name: &str) -> bool {
        let told = before.iter().any(|target| target.name == name && target.id.is_some());
        told || self.recorded.contains_key(name)
    }

    /// The image there, for people: by its id in the cloud, as far as one is known.
    pub(super) fn image_at(&self, before: &[TargetStatus], name: &str) -> String {
        let told = at(before, name).and_then(|target| target.id.clone());
        let recorded = || self.recorded.get(name)?.last().map(ToString::to_string);
        match told.or_else(recorded) {
            Some(id) => format!("image {id} at {name}"),
            None => format!("an image on its way at {name}"),
        }
    }

    /// How far the conversion is that the first of them waits for.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.standings.values().find_map(|standing| standing.progress.clone())
    }

    /// Whether anything of the image is in circulation at a target.
    pub(super) fn hold(&self, before: &[TargetStatus]) -> bool {
        !self.holding(before).is_empty()
    }

    /// Whether what is in circulation cannot be taken out of it any more: each of those targets, or its Secret, is gone.
    pub(super) fn are_lost(&self, before: &[TargetStatus]) -> bool {
        let no_secret = |standing: &PublicationStatus| standing.reason == "SecretNotFound";
        self.hold(before)
            && self.holding(before).into_iter().all(|name| {
                self.missing.iter().any(|missing| missing == name) || self.standings.get(name).is_some_and(no_secret)
            })
    }
}

/// What a status says of a target.
pub(super) fn at<'a>(targets: &'a [TargetStatus], name: &str) -> Option<&'a TargetStatus> {
    targets.iter().find(|target| target.name == name)
}
