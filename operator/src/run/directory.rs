//! Drives the reconcilers over a folder of manifests: once until nothing changes any more, or until stopped.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::damage::damage;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, Kind, ObjectKey};
use crate::cache::{CacheError, JobState, Keep, Scrub};
use crate::metrics::{Metrics, Work};
use crate::reconcile::subscription::FetchTrigger;
use crate::reconcile::{Context, cloud_target, endorser, image, subscription};
use crate::size::Size;
use crate::store::directory::{Directory, DirectoryError, ManifestProblem, requests};
use crate::store::{ResourceStore, StoreError};

/// An editor or `git pull` writes several files, so the folder is read only after it has not changed for this time.
const QUIET: Duration = Duration::from_millis(300);
/// The longest time between two passes.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);
/// Simultaneous passes over subscriptions: each waits for a server of its own, and each list needs memory while it is
/// downloaded.
const SUBSCRIPTIONS_AT_ONCE: usize = 32;
/// The most passes in a row that change something. More than this is a bug in this program.
const MOST_ROUNDS: usize = 64;

/// Drives the reconcilers over a folder of manifests.
pub struct Driver {
    context: Arc<Context<Directory>>,
    clock: Clock,
}

/// A source of the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The result of a run.
#[derive(Debug, Default)]
pub struct Settled {
    /// Manifests that were refused.
    pub problems: Vec<ManifestProblem>,
    /// Passes that failed, and state that could not be written or removed.
    pub errors: Vec<String>,
}

impl Driver {
    /// A driver for a context.
    pub fn new(context: Arc<Context<Directory>>) -> Self {
        Self { context, clock: Arc::new(Timestamp::now) }
    }

    /// The driver with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Asks every server, does the work that follows, waits for downloads and imports, and returns when nothing changes
    /// any more.
    pub async fn once(&self) -> Result<Settled, DirectoryError> {
        self.remove_leftovers();
        self.context.tried_anew.begin();
        if let Err(error) = self.context.jobs.conversions().forgive_for_space() {
            tracing::warn!(%error, "conversions that failed for want of space wait for their time");
        }
        let problems = self.reload()?;
        let mut ask = FetchTrigger::Now;
        loop {
            let mut jobs = self.context.jobs.changed();
            jobs.mark_unchanged();
            let mut pass = self.settle(ask).await;
            ask = FetchTrigger::WhenDue;
            let imports = self.context.publications.importing_until();
            // A download can end between the pass that saw it running and this check. Then another pass is needed.
            let all_was_seen = !self.downloads_run() && !jobs.has_changed().unwrap_or(false);
            if all_was_seen && imports.is_none() {
                pass.errors.extend(self.tidy());
                return Ok(Settled { problems, errors: pass.errors });
            }
            // The sender is part of the context, so this wait ends only when a job changes.
            tokio::select! {
                _ = jobs.changed() => {}
                () = tokio::time::sleep(sleep_until(imports, self.now())) => {}
            }
        }
    }

    /// Keeps the volume equal to the folder until `stop` completes. A pass begins when a manifest or the trust
    /// directory changes, when the state of a job changes, when a blob is found damaged, and when an object is due.
    pub async fn keep(
        &self,
        trust: &Path,
        scrub: &Scrub,
        stop: impl Future<Output = ()>,
    ) -> Result<(), DirectoryError> {
        let store = &self.context.store;
        if let Err(error) = requests::make(&store.requests) {
            tracing::warn!("{error}");
        }
        let (_watcher, mut changes) = watch([&store.manifests, &store.requests, trust]);
        let work = async {
            self.remove_leftovers();
            let mut problems = Vec::new();
            self.reload_and_tell(&mut problems);
            loop {
                let mut jobs = self.context.jobs.changed();
                jobs.mark_unchanged();
                let pass = self.settle(FetchTrigger::WhenDue).await;
                self.tidy();
                let sleep = sleep_until(pass.requeue_at, self.now());
                tokio::select! {
                    () = tokio::time::sleep(sleep) => {}
                    _ = jobs.changed() => {}
                    _ = damage(scrub) => {}
                    Some(()) = changes.recv() => {
                        quiet(&mut changes).await;
                        self.reload_and_tell(&mut problems);
                    }
                }
            }
        };
        tokio::select! {
            () = stop => Ok(()),
            never = work => never,
        }
    }

    fn remove_leftovers(&self) {
        if let Err(error) = self.context.store.remove_leftovers() {
            tracing::warn!(%error, "a temporary file of an earlier run stays");
        }
    }

    fn reload(&self) -> Result<Vec<ManifestProblem>, DirectoryError> {
        let problems = self.context.store.reload(self.now())?;
        for problem in &problems {
            problem.warn();
        }
        self.tell_passed_over();
        Ok(problems)
    }

    fn tell_passed_over(&self) {
        let passed_over = self.context.store.passed_over();
        if !passed_over.is_empty() {
            tracing::debug!("passed over in the folder of manifests: {}", passed_over.join(", "));
        }
    }

    /// Reads the folder again, and logs new problems.
    fn reload_and_tell(&self, before: &mut Vec<ManifestProblem>) {
        match self.context.store.reload(self.now()) {
            Ok(problems) => {
                for problem in problems.iter().filter(|problem| !before.contains(problem)) {
                    problem.warn();
                }
                *before = problems;
                self.tell_passed_over();
            }
            Err(error) => tracing::error!(%error, "what the manifests said before stays in force"),
        }
    }

    /// Runs passes over all objects until a pass changes nothing.
    async fn settle(&self, first: FetchTrigger) -> Pass {
        self.refresh_anchors();
        let mut pass = self.pass(first).await;
        for _ in 1..MOST_ROUNDS {
            if self.changes() == pass.changes_before {
                return pass;
            }
            pass = self.pass(FetchTrigger::WhenDue).await;
        }
        tracing::error!("{MOST_ROUNDS} passes in a row have changed something; going on when something happens");
        pass
    }

    /// One pass over all objects: endorsers, then subscriptions concurrently, then images, then targets concurrently.
    async fn pass(&self, ask: FetchTrigger) -> Pass {
        let (context, store) = (&*self.context, &*self.context.store);
        let mut pass = Pass { changes_before: self.changes(), metrics: context.metrics.clone(), ..Pass::default() };
        context.lists.retain(|key| store.get::<ImageListSubscription>(key).is_some());
        context
            .publications
            .retain(|key| store.get::<CachedImage>(key).is_some(), |key| store.get::<CloudTarget>(key).is_some());
        for object in store.all::<Endorser>() {
            let key = ObjectKey::of(&*object);
            pass.take(Kind::Endorser, &key, endorser::reconcile(context, &key, self.now()).await);
        }
        // A server that does not respond delays only its own subscription, unless `SUBSCRIPTIONS_AT_ONCE` servers do
        // not respond.
        let subscriptions = store.all::<ImageListSubscription>();
        let keys: Vec<ObjectKey> = subscriptions.iter().map(|object| ObjectKey::of(&**object)).collect();
        let mut subscriptions = futures::stream::iter(keys)
            .map(|key| async {
                let ended = subscription::reconcile(context, &key, ask, self.now()).await;
                (key, ended)
            })
            .buffer_unordered(SUBSCRIPTIONS_AT_ONCE);
        while let Some((key, ended)) = subscriptions.next().await {
            pass.take(Kind::Subscription, &key, ended);
        }
        drop(subscriptions);
        for object in store.all::<CachedImage>() {
            let key = ObjectKey::of(&*object);
            pass.take(Kind::Image, &key, image::reconcile(context, &key, self.now()).await);
        }
        // A cloud that does not respond delays only its own target.
        let targets = store.all::<CloudTarget>();
        let passes = targets.iter().map(|object| ObjectKey::of(&**object)).map(|key| async {
            let ended = cloud_target::reconcile(context, &key, self.now()).await;
            (key, ended)
        });
        for (key, ended) in futures::future::join_all(passes).await {
            pass.take(Kind::Target, &key, ended);
        }
        pass
    }

    /// The number of changes: of objects, and of the state of images at targets.
    fn changes(&self) -> u64 {
        self.context.store.changes() + self.context.publications.changes()
    }

    fn refresh_anchors(&self) {
        for problem in self.context.anchors.refresh().unwrap_or_default() {
            tracing::warn!(file = %problem.path.display(), "{}", problem.message);
        }
    }

    fn downloads_run(&self) -> bool {
        self.context
            .downloads
            .all()
            .iter()
            .any(|key| matches!(self.context.jobs.look(key), Some(JobState::Queued | JobState::Running { .. })))
    }

    /// Removes files of deleted objects and garbage on the volume. Returns what failed.
    fn tidy(&self) -> Vec<String> {
        let swept = self.context.store.sweep().map_err(|error| error.to_string());
        let collected = self.collect().map_err(|error| error.to_string());
        let errors: Vec<String> = [swept.err(), collected.err()].into_iter().flatten().collect();
        for error in &errors {
            tracing::error!("{error}");
        }
        errors
    }

    fn collect(&self) -> Result<(), CacheError> {
        let digests = self.context.downloads.all().into_iter().map(|key| key.digest).collect();
        let collected = self.context.volume.collect_garbage(&Keep { digests, ..Keep::default() }, self.now())?;
        if collected.bytes > 0 {
            tracing::info!(size = %Size(collected.bytes), "removed what nothing refers to");
        }
        Ok(())
    }
}

/// The result of one pass over all objects.
#[derive(Default)]
struct Pass {
    changes_before: u64,
    requeue_at: Option<Timestamp>,
    errors: Vec<String>,
    metrics: Metrics,
}

impl Pass {
    fn take(&mut self, kind: Kind, key: &ObjectKey, ended: Result<Option<Timestamp>, StoreError>) {
        match ended {
            Ok(Some(requeue_at)) => {
                self.requeue_at = Some(self.requeue_at.map_or(requeue_at, |before| before.min(requeue_at)));
            }
            Ok(None) => {}
            Err(error) => {
                self.metrics.retried(Work::Resource, error.reason());
                tracing::error!(%kind, object = %key, %error, "the pass could not be finished");
                self.errors.push(format!("{kind} {key}: {error}"));
            }
        }
    }
}

fn sleep_until(requeue_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let until =
        requeue_at.map(|requeue_at| Duration::try_from(requeue_at.duration_since(now)).unwrap_or(Duration::ZERO));
    until.unwrap_or(LONGEST_SLEEP).clamp(QUIET, LONGEST_SLEEP)
}

/// Watches the folders. If that is not possible, they are read only when a pass begins for another reason.
fn watch(folders: [&Path; 3]) -> (Option<notify::RecommendedWatcher>, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| {
        // Reading a file is not a change. If the channel is full, a message is already waiting.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = sender.try_send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(told) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "changes of manifests are seen only when something else happens");
            return (None, receiver);
        }
    };
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::Recursive) {
            tracing::warn!(folder = %folder.display(), %error, "changes in it are seen only when something else happens");
        }
    }
    (Some(watcher), receiver)
}

/// Waits until there has been no change for [`QUIET`].
async fn quiet(changes: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(QUIET, changes.recv()).await {}
}
