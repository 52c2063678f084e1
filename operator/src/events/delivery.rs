//! The deliveries of a run: opens the spool, makes the sinks, and runs one task for each.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::dispatch::{Drained, deliver, drain};
use super::environment::CacheDirectories;
use super::event::{Event, Phase};
use super::hub::{Events, Hub};
use super::progress::{ProgressQueue, deliver_progress};
use super::settings::{EventFilter, EventSettings, SinkKind, SinkName, SinkSettings};
use super::sink::{Delivery, Sink};
use super::sink_state::SinkStates;
use super::spool::{Reader, Spool, SpoolError};
use super::{AmqpSink, ExecSink, FileSink, WebhookSink};

/// How long a single run waits for its deliveries.
const DRAIN: Duration = Duration::from_secs(30);

/// How long a delivery of progress may go on at the end.
const PROGRESS_GRACE: Duration = Duration::from_secs(5);

/// Whether the program ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunKind {
    /// A single run, which waits for its deliveries.
    Once,
    /// It runs until it is stopped.
    #[default]
    Continuous,
}

impl RunKind {
    /// How long a delivery that is running may go on at the end. A handler with the default time limit can end.
    const fn grace(self) -> Duration {
        match self {
            Self::Once => DRAIN,
            Self::Continuous => Duration::from_secs(15),
        }
    }
}

/// The running deliveries.
#[derive(Default)]
pub struct Deliveries {
    tasks: JoinSet<(Reader, AnySink)>,
    /// One for each sink that takes progress, with a connection of its own.
    progress: JoinSet<()>,
    stop: CancellationToken,
    states: SinkStates,
    run: RunKind,
}

/// Opens the spool in the directory `spool` of a volume and begins to deliver what is in it. `source` is the `source` of
/// CloudEvents: a URI reference. Without a sink nothing is opened, except a spool that earlier sinks left: what only they
/// needed is freed.
///
/// Must be called within a tokio runtime.
pub fn start(
    settings: &EventSettings,
    volume: &Path,
    source: &str,
    run: RunKind,
) -> Result<(Events, Deliveries), SpoolError> {
    let directory = Spool::directory(volume);
    if settings.sinks.is_empty() && !directory.exists() {
        return Ok((Events::default(), Deliveries::default()));
    }
    let sinks: Vec<(SinkName, EventFilter)> =
        settings.sinks.iter().map(|sink| (sink.name.clone(), sink.filter.clone())).collect();
    let spool = Spool::open(&directory, settings.spool_limit, &sinks)?;
    if settings.sinks.is_empty() {
        return Ok((Events::default(), Deliveries::default()));
    }
    let directories = CacheDirectories::of_volume(volume);
    let mut deliveries = Deliveries { run, ..Deliveries::default() };
    let mut progress = Vec::new();
    for settings in &settings.sinks {
        let reader = spool.reader(&settings.name)?;
        let sink = AnySink::new(settings, &directories, source);
        if let Some(queue) = ProgressQueue::of(&settings.filter).map(Arc::new) {
            progress.push(queue.clone());
            let beside = sink.beside(settings, &directories, source);
            deliveries.spawn_progress(queue, beside, settings.name.clone());
        }
        deliveries.spawn(reader, sink);
    }
    let hub = Hub {
        spool,
        states: deliveries.states.clone(),
        session: Uuid::new_v4(),
        handlers: settings.sinks.iter().filter_map(|sink| handlers(sink, &directories)).collect(),
        vetoes: Mutex::new(HashMap::new()),
        progress,
    };
    Ok((Events::new(Arc::new(hub)), deliveries))
}

/// The handlers of a sink that are asked before a step.
fn handlers(sink: &SinkSettings, directories: &CacheDirectories) -> Option<(SinkName, EventFilter, ExecSink)> {
    match &sink.kind {
        SinkKind::Exec(exec) if sink.filter.phases.contains(&Phase::Before) => {
            Some((sink.name.clone(), sink.filter.clone(), ExecSink::new(exec.clone(), directories.clone())))
        }
        SinkKind::Exec(_) | SinkKind::Amqp(_) | SinkKind::Webhook(_) | SinkKind::File(_) => None,
    }
}

impl Deliveries {
    fn spawn(&mut self, mut reader: Reader, mut sink: AnySink) {
        let (states, stop, grace) = (self.states.clone(), self.stop.clone(), self.run.grace());
        self.tasks.spawn(async move {
            deliver(&mut reader, &mut sink, &states, grace, &stop).await;
            (reader, sink)
        });
    }

    fn spawn_progress(&mut self, queue: Arc<ProgressQueue>, mut sink: AnySink, name: SinkName) {
        let stop = self.stop.clone();
        self.progress.spawn(async move { deliver_progress(&queue, &mut sink, &name, PROGRESS_GRACE, &stop).await });
    }

    /// Stops the deliveries: after a single run when all is delivered, or after 30 s. What was not delivered then stays in
    /// the spool, and is logged.
    pub async fn end(mut self) {
        self.stop.cancel();
        while self.progress.join_next().await.is_some() {}
        if self.run == RunKind::Continuous {
            while self.tasks.join_next().await.is_some() {}
            return;
        }
        for Drained { sink, remaining, failing } in self.drain(DRAIN).await.into_iter().filter(Drained::is_behind) {
            let error = failing.map(|failing| failing.message);
            tracing::warn!(%sink, remaining, error, "events wait in the spool for the next run");
        }
    }

    /// Delivers what waits, for at most `within`. Returns what is left for each sink.
    async fn drain(mut self, within: Duration) -> Vec<Drained> {
        let mut draining = JoinSet::new();
        while let Some(ended) = self.tasks.join_next().await {
            // A task that panicked has nothing to go on with; its events stay in the spool.
            let Ok((mut reader, mut sink)) = ended else { continue };
            let states = self.states.clone();
            draining.spawn(async move { drain(&mut reader, &mut sink, &states, within).await });
        }
        let mut left: Vec<Drained> = draining.join_all().await;
        left.sort_by(|one, other| one.sink.cmp(&other.sink));
        left
    }
}

/// A sink of any kind.
pub enum AnySink {
    /// Handlers.
    Exec(ExecSink),
    /// A broker.
    Amqp(Box<AmqpSink>),
    /// An HTTP receiver.
    Webhook(WebhookSink),
    /// A file.
    File(FileSink),
}

impl AnySink {
    /// The sink of these settings.
    pub fn new(settings: &SinkSettings, directories: &CacheDirectories, source: &str) -> Self {
        match &settings.kind {
            SinkKind::Exec(exec) => Self::Exec(ExecSink::new(exec.clone(), directories.clone())),
            SinkKind::Amqp(amqp) => Self::Amqp(Box::new(AmqpSink::new(amqp.clone(), source.to_owned()))),
            SinkKind::Webhook(webhook) => Self::Webhook(WebhookSink::new(webhook.clone(), source.to_owned())),
            SinkKind::File(file) => Self::File(FileSink::new(file.clone())),
        }
    }

    /// Another sink of these settings, which delivers at the same time. Both write whole lines to a file.
    fn beside(&self, settings: &SinkSettings, directories: &CacheDirectories, source: &str) -> Self {
        match self {
            Self::File(file) => Self::File(file.clone()),
            Self::Exec(_) | Self::Amqp(_) | Self::Webhook(_) => Self::new(settings, directories, source),
        }
    }
}

impl Sink for AnySink {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        match self {
            Self::Exec(sink) => sink.deliver(events).await,
            Self::Amqp(sink) => sink.deliver(events).await,
            Self::Webhook(sink) => sink.deliver(events).await,
            Self::File(sink) => sink.deliver(events).await,
        }
    }
}
