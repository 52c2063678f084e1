//! Drives the reconcilers over a folder of manifests: until nothing changes any more, or for as long as it is left to.

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
use crate::reconcile::subscription::Ask;
use crate::reconcile::{Context, cloud_target, endorser, image, subscription};
use crate::size::Size;
use crate::store::directory::{Directory, DirectoryError, ManifestProblem, requests};
use crate::store::{Cluster, ClusterError};

/// An editor and `git pull` write several files: the folder is read once it was quiet for so long.
const QUIET: Duration = Duration::from_millis(300);
/// A pass that could not finish its work is followed by another no later than this.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);
/// Lists that are asked for at once: each waits for a server of its own, and what comes takes some memory on its way.
const SUBSCRIPTIONS_AT_ONCE: usize = 32;
/// Passes in a row that change something without waiting for anything; more than this is a fault of this program.
const MOST_ROUNDS: usize = 64;

/// Drives the reconcilers over a folder of manifests.
pub struct Driver {
    context: Arc<Context<Directory>>,
    clock: Clock,
}

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a run left behind.
#[derive(Debug, Default)]
pub struct Settled {
    /// Manifests that could not be taken.
    pub problems: Vec<ManifestProblem>,
    /// What could not be written.
    pub errors: Vec<String>,
}

impl Driver {
    /// A driver over a context.
    pub fn new(context: Arc<Context<Directory>>) -> Self {
        Self { context, clock: Arc::new(Timestamp::now) }
    }

    /// A driver that goes by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Asks every server, does what follows, waits for downloads and imports, and stops when nothing changes any more.
    pub async fn once(&self) -> Result<Settled, DirectoryError> {
        self.remove_leftovers();
        self.context.tried_anew.begin();
        if let Err(error) = self.context.jobs.conversions().forgive_for_space() {
            tracing::warn!(%error, "conversions that failed for want of space wait for their time");
        }
        let problems = self.reload()?;
        let mut ask = Ask::Now;
        loop {
            let mut jobs = self.context.jobs.changed();
            jobs.mark_unchanged();
            let mut pass = self.settle(ask).await;
            ask = Ask::WhenDue;
            let imports = self.context.publications.importing_until();
            // A download may end between the pass that saw it run and this look; then there is one pass more.
            let all_was_seen = !self.downloads_run() && !jobs.has_changed().unwrap_or(false);
            if all_was_seen && imports.is_none() {
                pass.errors.extend(self.tidy());
                return Ok(Settled { problems, errors: pass.errors });
            }
            // The sender lives in the context, so the wait for jobs ends only by a change.
            tokio::select! {
                _ = jobs.changed() => {}
                () = tokio::time::sleep(sleep_until(imports, self.now())) => {}
            }
        }
    }

    /// Keeps the volume equal to the folder until `stop` is done: looks again when a manifest or the trust directory
    /// changes, when a download ends, when a blob is found damaged, and when something's time has come.
    pub async fn keep(
        &self,
        trust: &Path,
        scrub: &Scrub,
        stop: impl Future<Output = ()>,
    ) -> Result<(), DirectoryError> {
        let cluster = &self.context.cluster;
        if let Err(error) = requests::make(&cluster.requests) {
            tracing::warn!("{error}");
        }
        let (_watcher, mut changes) = watch([&cluster.manifests, &cluster.requests, trust]);
        let work = async {
            self.remove_leftovers();
            let mut problems = Vec::new();
            self.reload_and_tell(&mut problems);
            loop {
                let mut jobs = self.context.jobs.changed();
                jobs.mark_unchanged();
                let pass = self.settle(Ask::WhenDue).await;
                self.tidy();
                let sleep = sleep_until(pass.wake, self.now());
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
        if let Err(error) = self.context.cluster.remove_leftovers() {
            tracing::warn!(%error, "a temporary file of an earlier run stays");
        }
    }

    fn reload(&self) -> Result<Vec<ManifestProblem>, DirectoryError> {
        let problems = self.context.cluster.reload(self.now())?;
        for problem in &problems {
            problem.warn();
        }
        self.tell_passed_over();
        Ok(problems)
    }

    fn tell_passed_over(&self) {
        let passed_over = self.context.cluster.passed_over();
        if !passed_over.is_empty() {
            tracing::debug!("passed over in the folder of manifests: {}", passed_over.join(", "));
        }
    }

    /// Reads the folder again; a problem is told when it is new.
    fn reload_and_tell(&self, before: &mut Vec<ManifestProblem>) {
        match self.context.cluster.reload(self.now()) {
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

    /// Passes over everything until one of them changes nothing.
    async fn settle(&self, first: Ask) -> Pass {
        self.refresh_anchors();
        let mut pass = self.pass(first).await;
        for _ in 1..MOST_ROUNDS {
            if self.changes() == pass.changes_before {
                return pass;
            }
            pass = self.pass(Ask::WhenDue).await;
        }
        tracing::error!("{MOST_ROUNDS} passes in a row have changed something; going on when something happens");
        pass
    }

    /// One pass over everything: endorsers, subscriptions side by side, then their images.
    async fn pass(&self, ask: Ask) -> Pass {
        let (context, cluster) = (&*self.context, &*self.context.cluster);
        let mut pass = Pass { changes_before: self.changes(), metrics: context.metrics.clone(), ..Pass::default() };
        context.lists.retain(|key| cluster.get::<ImageListSubscription>(key).is_some());
        context
            .publications
            .retain(|key| cluster.get::<CachedImage>(key).is_some(), |key| cluster.get::<CloudTarget>(key).is_some());
        for object in cluster.all::<Endorser>() {
            let key = ObjectKey::of(&*object);
            pass.take(Kind::Endorser, &key, endorser::reconcile(context, &key, self.now()).await);
        }
        // A dead server holds its own subscription only, as long as not all of them are dead.
        let subscriptions = cluster.all::<ImageListSubscription>();
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
        for object in cluster.all::<CachedImage>() {
            let key = ObjectKey::of(&*object);
            pass.take(Kind::Image, &key, image::reconcile(context, &key, self.now()).await);
        }
        // A cloud that does not answer holds its own target only.
        let targets = cluster.all::<CloudTarget>();
        let passes = targets.iter().map(|object| ObjectKey::of(&**object)).map(|key| async {
            let ended = cloud_target::reconcile(context, &key, self.now()).await;
            (key, ended)
        });
        for (key, ended) in futures::future::join_all(passes).await {
            pass.take(Kind::Target, &key, ended);
        }
        pass
    }

    /// Counts what changed: of the objects, and of how images stand at targets.
    fn changes(&self) -> u64 {
        self.context.cluster.changes() + self.context.publications.changes()
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

    /// Removes what nothing refers to any more; says what could not be.
    fn tidy(&self) -> Vec<String> {
        let swept = self.context.cluster.sweep().map_err(|error| error.to_string());
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

/// What one pass over everything found.
#[derive(Default)]
struct Pass {
    changes_before: u64,
    wake: Option<Timestamp>,
    errors: Vec<String>,
    metrics: Metrics,
}

impl Pass {
    fn take(&mut self, kind: Kind, key: &ObjectKey, ended: Result<Option<Timestamp>, ClusterError>) {
        match ended {
            Ok(Some(wake)) => self.wake = Some(self.wake.map_or(wake, |before| before.min(wake))),
            Ok(None) => {}
            Err(error) => {
                self.metrics.retried(Work::Resource, error.reason());
                tracing::error!(%kind, object = %key, %error, "the pass could not be finished");
                self.errors.push(format!("{kind} {key}: {error}"));
            }
        }
    }
}

fn sleep_until(wake: Option<Timestamp>, now: Timestamp) -> Duration {
    let until = wake.map(|wake| Duration::try_from(wake.duration_since(now)).unwrap_or(Duration::ZERO));
    until.unwrap_or(LONGEST_SLEEP).clamp(QUIET, LONGEST_SLEEP)
}

/// Watches the folders. Where the system cannot, the folders are still read at every pass' time.
fn watch(folders: [&Path; 3]) -> (Option<notify::RecommendedWatcher>, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| {
        // Reading a file is no change. A full channel has its message already.
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

/// Waits until no change came for a while.
async fn quiet(changes: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(QUIET, changes.recv()).await {}
}
