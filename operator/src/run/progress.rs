//! Reports the progress of running work to the sinks that take it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::events::ImageMetadata;
use crate::reconcile::Context;
use crate::reconcile::progress::{State, Work, end, metadata, running};
use crate::store::ResourceStore;

/// How often running work is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// It is looked at sooner if a job starts or ends, but not more often than this.
const PAUSE: Duration = Duration::from_millis(100);

/// The reports of a run.
pub struct ProgressReports(Option<(CancellationToken, JoinHandle<()>)>);

impl ProgressReports {
    /// Starts to report. Does nothing if no sink takes progress.
    pub fn start<S: ResourceStore>(context: &Arc<Context<S>>) -> Self {
        if !context.events.take_progress() {
            return Self(None);
        }
        let stop = CancellationToken::new();
        Self(Some((stop.clone(), tokio::spawn(report(context.clone(), stop)))))
    }

    /// Reports how all work has ended, and stops. The jobs should have ended before.
    pub async fn end(self) {
        if let Some((stop, task)) = self.0 {
            stop.cancel();
            if let Err(error) = task.await {
                tracing::warn!(%error, "the last progress is lost");
            }
        }
    }
}

async fn report<S: ResourceStore>(context: Arc<Context<S>>, stop: CancellationToken) {
    let mut jobs = context.jobs.changed();
    let mut reporter = Reporter::default();
    while !stop.is_cancelled() {
        reporter.look(&context, Timestamp::now());
        let changed = async {
            sleep(PAUSE).await;
            jobs.changed().await.is_ok()
        };
        tokio::select! {
            () = stop.cancelled() => {}
            // The sender is part of the context.
            _ = changed => {}
            () = sleep(EVERY) => {}
        }
    }
    reporter.look(&context, Timestamp::now());
}

/// The work that was running at the last look.
#[derive(Default)]
struct Reporter(BTreeMap<Work, Reported>);

struct Reported {
    state: State,
    image: Box<ImageMetadata>,
}

impl Reporter {
    /// Reports what is new or has changed, and what has ended.
    fn look<S: ResourceStore>(&mut self, context: &Context<S>, now: Timestamp) {
        let session = context.events.session();
        let mut seen = BTreeSet::new();
        for (work, state) in running(context) {
            seen.insert(work.clone());
            let known = self.0.get(&work);
            if known.is_some_and(|known| is_same(&known.state, &state)) {
                continue;
            }
            let image = known.map_or_else(|| Box::new(metadata(context, &work)), |known| known.image.clone());
            context.events.progress(&state.event(&work, image.clone(), session, now), false);
            self.0.insert(work, Reported { state, image });
        }
        self.0.retain(|work, reported| {
            let ended = if seen.contains(work) { None } else { end(context, work, &reported.state) };
            if let Some(state) = &ended {
                context.events.progress(&state.event(work, reported.image.clone(), session, now), true);
            }
            ended.is_none()
        });
    }
}

/// Whether two states are the same, but for the rate.
fn is_same(one: &State, other: &State) -> bool {
    let bytes = |state: &State| state.figures.map(|figures| (figures.bytes, figures.total));
    bytes(one) == bytes(other) && (&one.reason, &one.message) == (&other.reason, &other.message)
}
