//! Drives the reconcilers over a folder of manifests: once until nothing changes any more, or until stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::damage::damage;
use super::dependents::{Change, Dependent, dependents};
use super::pass::Passes;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, Kind, ObjectKey, Resource};
use crate::cache::{CacheError, JobState, Keep, Scrub};
use crate::metrics::{Metrics, Work};
use crate::reconcile::subscription::FetchTrigger;
use crate::reconcile::{Context, DryRun, Planned};
use crate::size::Size;
use crate::store::directory::{Changed, Directory, DirectoryError, ManifestProblem, Snapshot, requests};
use crate::store::{ResourceStore, StoreError};

/// An editor or `git pull` writes several files, so the folder is read only after it has not changed for this time.
const QUIET: Duration = Duration::from_millis(300);
/// The longest time between two passes.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);
/// Simultaneous passes over subscriptions: each waits for a server of its own, and each list needs memory while it is
/// downloaded.
const SUBSCRIPTIONS_AT_ONCE: usize = 32;
/// Simultaneous passes over images: a handler that does not end delays only its own image.
const IMAGES_AT_ONCE: usize = 8;
/// Simultaneous passes over targets.
const TARGETS_AT_ONCE: usize = 32;
/// The most rounds in a row that change something. More than this is a bug in this program.
const MOST_ROUNDS: usize = 64;

/// Drives the reconcilers over a folder of manifests.
pub struct Driver {
    context: Arc<Context<Directory>>,
    passes: Passes,
    clock: Clock,
    /// [`Driver::keep`] cancels it after its first passes over all objects.
    pub began: CancellationToken,
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
        let clock = Arc::new(Timestamp::now);
        Self { context, passes: Passes::default(), clock, began: CancellationToken::default() }
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
            let results = self.settle(ask).await;
            ask = FetchTrigger::WhenDue;
            let imports = self.context.publications.importing_until();
            // A download can end between the pass that saw it running and this check. Then another pass is needed.
            let all_was_seen = !self.downloads_run() && !jobs.has_changed().unwrap_or(false);
            if all_was_seen && imports.is_none() {
                let mut errors = results.errors();
                errors.extend(self.tidy());
                return Ok(Settled { problems, errors });
            }
            // The sender is part of the context, so this wait ends only when a job changes.
            tokio::select! {
                _ = jobs.changed() => {}
                () = tokio::time::sleep(sleep_until(imports, self.now())) => {}
            }
        }
    }

    /// One round of passes that make their plans and do not apply them: for a context that is a dry run. Returns the
    /// plans, and the errors of passes.
    pub async fn plans(&self) -> (Vec<Planned>, Vec<String>) {
        let mut results = Results::default();
        self.round(self.all(), FetchTrigger::Now, &mut results).await;
        let plans = self.context.dry_run.as_ref().map(DryRun::take);
        (plans.unwrap_or_default(), results.errors())
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
                let results = self.settle(FetchTrigger::WhenDue).await;
                self.began.cancel();
                self.tidy();
                let sleep = sleep_until(results.requeue_at(), self.now());
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

    /// Reconciles all objects, then those that depend on what changed, until nothing changes any more.
    async fn settle(&self, first: FetchTrigger) -> Results {
        self.refresh_anchors();
        let (mut results, mut ask) = (Results::default(), first);
        let mut due = self.all();
        for _ in 0..MOST_ROUNDS {
            due = self.round(due, ask, &mut results).await;
            if due.is_empty() {
                return results;
            }
            ask = FetchTrigger::WhenDue;
        }
        tracing::error!("{MOST_ROUNDS} rounds in a row have changed something; going on when something happens");
        results
    }

    fn all(&self) -> Due {
        fn keys<K: Resource>(store: &Directory) -> impl Iterator<Item = (Kind, ObjectKey)> {
            store.all::<K>().into_iter().map(|object| (K::KIND, ObjectKey::of(&*object)))
        }
        let store = &*self.context.store;
        let lists = keys::<Endorser>(store).chain(keys::<ImageListSubscription>(store));
        lists.chain(keys::<CachedImage>(store)).chain(keys::<CloudTarget>(store)).collect()
    }

    /// One pass over each object that is due: endorsers, then subscriptions, then images, then targets. What depends on
    /// a change and comes later in this order joins the round; returns the rest, which is due in the next round.
    async fn round(&self, mut due: Due, ask: FetchTrigger, results: &mut Results) -> Due {
        let store = &*self.context.store;
        self.context.lists.retain(|key| store.get::<ImageListSubscription>(key).is_some());
        self.passes.forget_gone(store);
        self.context
            .publications
            .retain(|key| store.get::<CachedImage>(key).is_some(), |key| store.get::<CloudTarget>(key).is_some());
        let mut next = Due::new();
        for (kind, at_once) in [
            (Kind::Endorser, 1),
            (Kind::Subscription, SUBSCRIPTIONS_AT_ONCE),
            (Kind::Image, IMAGES_AT_ONCE),
            (Kind::Target, TARGETS_AT_ONCE),
        ] {
            let snapshot = store.snapshot();
            let objects: Vec<ObjectKey> = due.extract_if(.., |(of, _)| *of == kind).map(|(_, key)| key).collect();
            let mut dependents = self.passes(kind, objects, at_once, ask, results).await;
            dependents.extend(changes(&self.context, &snapshot));
            for Dependent { kind: of, key, together: _ } in dependents {
                if of > kind {
                    due.insert((of, key))
                } else {
                    next.insert((of, key))
                };
            }
        }
        next.retain(|(kind, key)| store.has(*kind, key));
        next
    }

    /// One pass over each object that exists. A server or a cloud that does not respond delays only its own object,
    /// unless `at_once` of them do not respond.
    async fn passes(
        &self,
        kind: Kind,
        objects: Vec<ObjectKey>,
        at_once: usize,
        ask: FetchTrigger,
        results: &mut Results,
    ) -> Vec<Dependent> {
        let (context, mut dependents) = (&*self.context, Vec::new());
        let there = objects.into_iter().filter(|key| context.store.has(kind, key));
        let mut passes = futures::stream::iter(there)
            .map(|key| async {
                let ended = self.passes.pass(context, (kind, &key), ask, self.now()).await;
                (key, ended)
            })
            .buffer_unordered(at_once);
        while let Some((key, ended)) = passes.next().await {
            dependents.extend(ended.dependents);
            results.take(&context.metrics, kind, key, ended.result);
        }
        dependents
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

/// The objects that a round reconciles.
type Due = BTreeSet<(Kind, ObjectKey)>;

/// What depends on the changes of objects since a snapshot.
fn changes(context: &Context<Directory>, snapshot: &Snapshot) -> Vec<Dependent> {
    let store = &*context.store;
    let wake = |change: Change<'_>| dependents(context, &change);
    let mut all = Vec::new();
    for Changed { before, after } in store.changed::<Endorser>(snapshot) {
        all.extend(after.or(before).iter().flat_map(|object| wake(Change::Endorser(object))));
    }
    for Changed { before, after } in store.changed::<ImageListSubscription>(snapshot) {
        all.extend(after.or(before).iter().flat_map(|object| wake(Change::Subscription(object))));
    }
    for Changed { before, after } in store.changed::<CachedImage>(snapshot) {
        all.extend(after.iter().flat_map(|object| wake(Change::Image(object))));
        all.extend(before.filter(|_| after.is_none()).iter().flat_map(|object| wake(Change::ImageGone(object))));
    }
    for Changed { before, after } in store.changed::<CloudTarget>(snapshot) {
        let generation = |target: &Option<Arc<CloudTarget>>| target.as_ref().map(|target| target.metadata.generation);
        let is_spec = generation(&before) != generation(&after);
        let key = after.or(before).map(|target| ObjectKey::of(&*target));
        all.extend(
            key.iter().flat_map(|key| wake(if is_spec { Change::TargetSpec(key) } else { Change::Target(key) })),
        );
    }
    all
}

/// The result of the last pass over each object.
#[derive(Default)]
struct Results(BTreeMap<(Kind, ObjectKey), Result<Option<Timestamp>, String>>);

impl Results {
    fn take(&mut self, metrics: &Metrics, kind: Kind, key: ObjectKey, ended: Result<Option<Timestamp>, StoreError>) {
        let ended = ended.map_err(|error| {
            metrics.retried(Work::Resource, error.reason());
            tracing::error!(%kind, object = %key, %error, "the pass could not be finished");
            format!("{kind} {key}: {error}")
        });
        self.0.insert((kind, key), ended);
    }

    /// When the next object is due.
    fn requeue_at(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|ended| ended.as_ref().ok().copied().flatten()).min()
    }

    /// The errors of passes.
    fn errors(self) -> Vec<String> {
        self.0.into_values().filter_map(Result::err).collect()
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
