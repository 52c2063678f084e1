//! Drives the reconcilers over an API server. An object is reconciled when it or an object that it depends on changes,
//! when its download or conversion starts or ends, and when its next pass is due.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::watch::{self, feed};
use super::work::follow_work;
use super::work_queues::{Requests, WorkQueues};
use super::{queue, referenced};
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, Kind, ObjectKey, Resource};
use crate::cache::{Keep, Scrub, Volume};
use crate::reconcile::Context;
use crate::reconcile::subscription::FetchTrigger;
use crate::run::damage::damage;
use crate::run::dependents::Change;
use crate::store::ResourceStore;
use crate::store::kubernetes::{Kubernetes, Scope, Watches, Writers};

/// How long running passes may continue after the program was asked to stop.
const GRACE: Duration = Duration::from_secs(20);
/// How often the trust directory is checked for changes.
const ANCHORS_EVERY: Duration = Duration::from_secs(15);
/// How often garbage on the volume is collected.
const COLLECT_EVERY: Duration = Duration::from_mins(10);
/// Simultaneous passes over subscriptions: each waits for a server of its own.
const SUBSCRIPTIONS_AT_ONCE: usize = 32;
/// Simultaneous passes over the objects of each other kind.
const OTHERS_AT_ONCE: usize = 8;

/// Drives the reconcilers over an API server.
pub struct Driver {
    shared: Arc<Shared>,
    scopes: Vec<(Writers, Requests)>,
}

/// A part of the program ended although the program was not asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("expected that every part runs until the program is stopped, found that one ended: {0}")]
pub struct PartEnded(String);

impl Driver {
    /// A driver for a context, with the watches that were made with its cluster.
    pub fn new(context: Arc<Context<Kubernetes>>, watches: Watches) -> Self {
        let (queues, requests): (Vec<_>, Vec<_>) = watches.0.iter().map(|_| WorkQueues::new()).unzip();
        let scopes = watches.0.into_iter().zip(requests).collect();
        Self { shared: Arc::new(Shared::new(context, queues)), scopes }
    }

    /// Keeps the volume equal to the resources until `stop` completes. Then no new pass begins, and running passes may
    /// finish. Blobs that `scrub` finds damaged are downloaded again.
    pub async fn keep(self, scrub: &Scrub, stop: impl Future<Output = ()>) -> Result<(), PartEnded> {
        let stopping = CancellationToken::new();
        if let Some(cache_sync) = self.shared.store().cache_sync.pending() {
            tracing::info!("started; {cache_sync}");
        }
        let mut parts = Parts { tasks: JoinSet::new(), stopping: stopping.clone() };
        for (index, (writers, requests)) in self.scopes.into_iter().enumerate() {
            parts.add_scope(&self.shared, &self.shared.store().scopes[index], writers, requests);
        }
        parts.until_stopped(follow_work(self.shared.clone()));
        parts.until_stopped(follow_anchors(self.shared.clone()));
        parts.until_stopped(collect_garbage(self.shared.clone()));
        let ended = tokio::select! {
            () = stop => Ok(()),
            never = follow_damage(&self.shared, scrub) => never,
            Some(ended) = parts.tasks.join_next() => {
                Err(PartEnded(ended.err().map_or_else(|| "without a word".to_owned(), |error| error.to_string())))
            }
        };
        stopping.cancel();
        self.shared.store().cache_sync.give_up();
        let all = async { while parts.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("passes did not end within {} s and are cut off", GRACE.as_secs());
        }
        ended
    }
}

/// The tasks of a driver.
struct Parts {
    tasks: JoinSet<()>,
    stopping: CancellationToken,
}

impl Parts {
    fn until_stopped(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            stopping.run_until_cancelled(part).await;
        });
    }

    fn add_scope(&mut self, shared: &Arc<Shared>, scope: &Scope, writers: Writers, requests: Requests) {
        self.follow(shared, scope, writers);
        self.passes::<Endorser>(shared, requests.endorsers, OTHERS_AT_ONCE);
        self.passes::<ImageListSubscription>(shared, requests.subscriptions, SUBSCRIPTIONS_AT_ONCE);
        self.passes::<CachedImage>(shared, requests.images, OTHERS_AT_ONCE);
        self.passes::<CloudTarget>(shared, requests.targets, OTHERS_AT_ONCE);
    }

    /// Starts the watches of a scope.
    fn follow(&mut self, shared: &Arc<Shared>, scope: &Scope, writers: Writers) {
        let (client, namespace) = (&shared.store().client, &scope.namespace);
        let endorsers = (scope.endorsers.clone(), writers.endorsers);
        self.until_stopped(feed(shared.clone(), namespace.clone(), endorsers, watch::endorser));
        let subscriptions = (scope.subscriptions.clone(), writers.subscriptions);
        self.until_stopped(feed(shared.clone(), namespace.clone(), subscriptions, watch::subscription));
        let images = (scope.images.clone(), writers.images);
        self.until_stopped(feed(shared.clone(), namespace.clone(), images, watch::image));
        let targets = (scope.targets.clone(), writers.targets);
        self.until_stopped(feed(shared.clone(), namespace.clone(), targets, watch::target));
        if let Some(namespace) = namespace {
            let secrets = kube::Api::namespaced(client.clone(), namespace);
            self.until_stopped(referenced::follow::<Secret>(shared.clone(), secrets));
            let maps = kube::Api::namespaced(client.clone(), namespace);
            self.until_stopped(referenced::follow::<ConfigMap>(shared.clone(), maps));
        }
    }

    /// Runs passes over the objects of a kind when they are woken. Objects that no longer exist are skipped.
    fn passes<K: Resource>(&mut self, shared: &Arc<Shared>, woken: UnboundedReceiver<ObjectKey>, at_once: usize) {
        let shared = shared.clone();
        let if_there = move |key: ObjectKey| {
            let shared = shared.clone();
            async move {
                let store = shared.store();
                let is_needed = store.cache_sync.all_came().await && store.get::<K>(&key).is_some();
                if is_needed { pass(&shared, K::KIND, &key).await } else { None }
            }
        };
        self.tasks.spawn(queue::run(woken, at_once, self.stopping.clone(), if_there));
    }
}

/// One pass over an object. Returns the time until the next one; `None` if something wakes it.
async fn pass(shared: &Shared, kind: Kind, key: &ObjectKey) -> Option<Duration> {
    // After a start, the subscription's pass comes first: it sets the list in force, and then wakes its images.
    if kind == Kind::Image && shared.passes.is_subscription_silent(shared.store(), key) {
        return None;
    }
    let ask = if kind == Kind::Subscription { shared.ask(key) } else { FetchTrigger::WhenDue };
    let ended = shared.passes.pass(&shared.context, (kind, key), ask, Timestamp::now()).await;
    shared.wake_all(&ended.dependents);
    Some(shared.settled(kind, key, ended.result))
}

/// Wakes the images whose blobs were found damaged.
async fn follow_damage(shared: &Shared, scrub: &Scrub) -> ! {
    loop {
        let spoiled: Vec<String> = damage(scrub).await.iter().map(|blob| blob.expected.to_string()).collect();
        shared.wake(&Change::Damaged(&spoiled));
    }
}

/// Reloads the trust directory when it has changed, and wakes all endorsers and subscriptions, which verify their
/// signatures again.
async fn follow_anchors(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(ANCHORS_EVERY).await;
        let Some(problems) = shared.context.anchors.refresh() else { continue };
        for problem in problems {
            tracing::warn!(path = %problem.path.display(), "{}", problem.message);
        }
        shared.wake(&Change::Anchors);
    }
}

/// Collects garbage on the volume periodically.
async fn collect_garbage(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(COLLECT_EVERY).await;
        let context = shared.context.clone();
        let collect = move |volume: &Volume| {
            let digests = context.downloads.all().into_iter().map(|key| key.digest).collect();
            volume.collect_garbage(&Keep { digests, ..Keep::default() }, Timestamp::now())
        };
        match shared.context.volume.blocking("collect garbage on", collect).await {
            Ok(collected) if collected.bytes > 0 => {
                tracing::info!(size = collected.bytes, "removed what nothing refers to");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "what nothing refers to could not be removed"),
        }
    }
}
