//! Drives the reconcilers over a folder of manifests: once until nothing changes any more, or until stopped.

mod changes;
mod results;
mod settled;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use self::changes::changes;
use self::results::{Results, sleep_until};
use self::watch::{quiet, watch};
use super::damage::damage;
use super::dependents::Dependent;
use super::pass::Passes;
use super::work::WorkStages;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, Kind, ObjectKey, Resource};
use crate::cache::{CacheError, JobKey, JobState, Keep, Scrub};
use crate::reconcile::subscription::FetchTrigger;
use crate::reconcile::{Context, DryRun, Planned};
use crate::store::ResourceStore;
use crate::store::directory::{Directory, DirectoryError, ManifestProblem, requests};

/// Simultaneous passes over subscriptions: each waits for a server of its own, and each list needs memory while it is
/// downloaded.
const SUBSCRIPTIONS_AT_ONCE: usize = 32;
/// Simultaneous passes over images: a handler that does not end delays only its own image.
const IMAGES_AT_ONCE: usize = 8;
/// Simultaneous passes over targets.
const TARGETS_AT_ONCE: usize = 32;
/// Jobs that start and end within this time have one pass, which stores one status.
const TOGETHER: Duration = Duration::from_millis(20);
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
    /// The images whose passes were left out, because nothing that they read has changed since a pass that changed
    /// nothing.
    pub left_out: BTreeSet<ObjectKey>,
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
        self.restore_settled();
        let problems = self.reload()?;
        let (mut results, mut stages) = (Results::default(), WorkStages::default());
        let (mut due, mut ask) = (None, FetchTrigger::Now);
        loop {
            let (mut jobs, is_quiet) = self.reconcile(due.take(), ask, &mut results).await;
            ask = FetchTrigger::WhenDue;
            let imports = self.context.publications.importing_until();
            if is_quiet && imports.is_none() {
                let mut errors = results.errors();
                errors.extend(self.tidy());
                self.copy_images();
                return Ok(Settled { problems, errors, left_out: results.left_out() });
            }
            // The sender is part of the context, so this wait ends only when a job changes.
            tokio::select! {
                _ = jobs.changed() => due = Some(self.concerned(&mut stages, &results).await),
                () = tokio::time::sleep(sleep_until(imports, self.now())) => {}
            }
        }
    }

    /// The objects that need a pass after a job has started or ended, and those that are due. So a change of one of many
    /// downloads does not cost a pass over each image. While downloads run, waits for what comes at the same time.
    async fn concerned(&self, stages: &mut WorkStages, results: &Results) -> Due {
        if self.downloads_run() {
            tokio::time::sleep(TOGETHER).await;
        }
        let moved = stages.moved(&self.context);
        let moved = moved.into_iter().map(|Dependent { kind, key, together: _ }| (kind, key));
        moved.chain(results.due(self.now())).collect()
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
            self.restore_settled();
            self.reload_and_tell(&mut problems);
            let (mut results, mut stages, mut due) = (Results::default(), WorkStages::default(), None);
            loop {
                let (mut jobs, _) = self.reconcile(due.take(), FetchTrigger::WhenDue, &mut results).await;
                self.began.cancel();
                self.tidy();
                let sleep = sleep_until(results.requeue_at(), self.now());
                tokio::select! {
                    () = tokio::time::sleep(sleep) => {}
                    _ = jobs.changed() => due = Some(self.concerned(&mut stages, &results).await),
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

    /// Reconciles the objects that are due, and all objects once no download runs any more. Returns the changes of jobs
    /// since then, and whether it is so.
    async fn reconcile(
        &self,
        mut due: Option<Due>,
        mut ask: FetchTrigger,
        results: &mut Results,
    ) -> (Receiver<u64>, bool) {
        loop {
            let mut jobs = self.context.jobs.changed();
            jobs.mark_unchanged();
            let is_of_all = due.is_none();
            self.settle(due.take(), ask, results).await;
            ask = FetchTrigger::WhenDue;
            // A download can end between the pass that saw it running and this check. Then another pass is needed.
            let is_quiet = !self.downloads_run() && !jobs.has_changed().unwrap_or(false);
            if is_of_all || !is_quiet {
                return (jobs, is_quiet);
            }
        }
    }

    /// Reconciles the objects that are due (`None` means all, with new results), then those that depend on what changed,
    /// until nothing changes any more.
    async fn settle(&self, due: Option<Due>, first: FetchTrigger, results: &mut Results) {
        self.refresh_anchors();
        let mut due = due.unwrap_or_else(|| {
            *results = Results::default();
            self.all()
        });
        let mut ask = first;
        for _ in 0..MOST_ROUNDS {
            due = self.round(due, ask, results).await;
            if due.is_empty() {
                return;
            }
            ask = FetchTrigger::WhenDue;
        }
        tracing::error!("{MOST_ROUNDS} rounds in a row have changed something; going on when something happens");
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
        let mut sight = self.see_images(&due);
        for (kind, at_once) in [
            (Kind::Endorser, 1),
            (Kind::Subscription, SUBSCRIPTIONS_AT_ONCE),
            (Kind::Image, IMAGES_AT_ONCE),
            (Kind::Target, TARGETS_AT_ONCE),
        ] {
            let snapshot = store.snapshot();
            let mut objects: Vec<ObjectKey> = due.extract_if(.., |(of, _)| *of == kind).map(|(_, key)| key).collect();
            if kind == Kind::Image {
                objects = self.not_settled(objects, &mut sight, results).await;
            }
            let mut dependents = self.passes(kind, objects, at_once, ask, results).await;
            if kind == Kind::Image {
                for (key, error) in store.save_new().await {
                    results.take(&self.context.metrics, kind, key, Err(error));
                }
            }
            dependents.extend(changes(&self.context, &snapshot));
            let dependents = dependents.into_iter().map(|Dependent { kind, key, together: _ }| (kind, key));
            let (later, again): (Vec<_>, Vec<_>) = dependents.partition(|(of, _)| *of > kind);
            // All at once: one after the other takes several times as long.
            due.append(&mut later.into_iter().collect());
            next.append(&mut again.into_iter().collect());
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
        let there: Vec<ObjectKey> = objects.into_iter().filter(|key| context.store.has(kind, key)).collect();
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
            tracing::warn!(path = %problem.path.display(), "{}", problem.message);
        }
    }

    fn downloads_run(&self) -> bool {
        let jobs = &self.context.jobs;
        let runs = |key: &JobKey| matches!(jobs.look(key), Some(JobState::Queued | JobState::Running { .. }));
        self.context.downloads.any(runs)
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
        let collected = self.context.volume.collect_when_due(&Keep { digests, ..Keep::default() }, self.now())?;
        if collected.bytes > 0 {
            tracing::info!(size = collected.bytes, "removed what nothing refers to");
        }
        Ok(())
    }
}

/// The objects that a round reconciles.
type Due = BTreeSet<(Kind, ObjectKey)>;
