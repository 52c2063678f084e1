//! What the pages are made from: the resources, the lists in force, the running work and the volume.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use super::shown::State;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, ObjectKey, Resource};
use crate::cache::Volume;
use crate::imagelist::ListFormat;
use crate::reconcile::subscription::{KeptChecks, format, kept_checks};
use crate::reconcile::{Context, ListInForce, SpecError};
use crate::serve::progress::{ProgressPage, page};
use crate::store::ResourceStore;

/// The most rows of a table of a page.
const MOST_ROWS: usize = 1000;

/// A future of a [`Site`].
pub(super) type Checks<'a> = Pin<Box<dyn Future<Output = Result<Option<KeptChecks>, SpecError>> + Send + 'a>>;

/// What a program works on, with any kind of store. Only [`Self::checks`] is not quick.
pub(super) trait Site: Send + Sync {
    /// All resources.
    fn objects(&self) -> Objects;
    /// One image.
    fn image(&self, key: &ObjectKey) -> Option<Arc<CachedImage>>;
    /// One subscription.
    fn subscription(&self, key: &ObjectKey) -> Option<Arc<ImageListSubscription>>;
    /// The work that runs.
    fn progress(&self) -> ProgressPage;
    /// The list of a subscription after its last pass.
    fn list(&self, subscription: &ObjectKey) -> Option<Arc<ListInForce>>;
    /// The volume. Its calls block.
    fn volume(&self) -> Volume;
    /// Whether a sink takes events, so that some are in the spool.
    fn has_sinks(&self) -> bool;
    /// The checks of a subscription's list in force, made anew.
    fn checks<'a>(&'a self, subscription: &'a ObjectKey, now: Timestamp) -> Checks<'a>;
}

impl<S: ResourceStore> Site for Context<S> {
    fn objects(&self) -> Objects {
        Objects {
            endorsers: self.store.all(),
            subscriptions: self.store.all(),
            images: self.store.all(),
            targets: self.store.all(),
            problems: self.store.refused_manifests(),
        }
    }

    fn image(&self, key: &ObjectKey) -> Option<Arc<CachedImage>> {
        self.store.get(key)
    }

    fn subscription(&self, key: &ObjectKey) -> Option<Arc<ImageListSubscription>> {
        self.store.get(key)
    }

    fn progress(&self) -> ProgressPage {
        page(self)
    }

    fn list(&self, subscription: &ObjectKey) -> Option<Arc<ListInForce>> {
        self.lists.get(subscription)
    }

    fn volume(&self) -> Volume {
        self.volume.clone()
    }

    fn has_sinks(&self) -> bool {
        self.events.are_wanted()
    }

    fn checks<'a>(&'a self, subscription: &'a ObjectKey, now: Timestamp) -> Checks<'a> {
        Box::pin(kept_checks(self, subscription, now))
    }
}

/// All resources of a program, each kind ordered as the store has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Objects {
    pub endorsers: Vec<Arc<Endorser>>,
    pub subscriptions: Vec<Arc<ImageListSubscription>>,
    pub images: Vec<Arc<CachedImage>>,
    pub targets: Vec<Arc<CloudTarget>>,
    /// The manifests that are not valid, one sentence each.
    pub problems: Vec<String>,
}

/// Objects in the order of their keys, which is the order of a page.
pub(super) fn sorted<K: Resource>(objects: &[Arc<K>]) -> Vec<(ObjectKey, &K)> {
    let mut sorted: Vec<(ObjectKey, &K)> = objects.iter().map(|object| (ObjectKey::of(&**object), &**object)).collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    sorted
}

/// The rows of a table, what needs attention first, and the number of those that are left out.
pub(super) fn worst_first<R>(mut rows: Vec<R>, place: impl Fn(&R) -> (State, &ObjectKey)) -> (Vec<R>, usize) {
    rows.sort_by(|one, other| place(one).cmp(&place(other)));
    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    (rows, more)
}

/// The format of a subscription's lists; that of an image list if its spec is not valid.
pub(super) fn list_format(subscription: &ImageListSubscription) -> ListFormat {
    format(&subscription.spec.source).unwrap_or_default()
}
