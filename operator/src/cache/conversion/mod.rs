//! Conversions as background jobs. Reconciles start them and query them, but never wait for them. Each conversion is
//! made once for everyone who wants it.
//!
//! The result is stored in `state/conversions/<source>-<form>.json`. So a conversion is not made twice, and a failed
//! one is not retried after every restart. The work is done in a separate directory in `scratch/`, which the next start
//! of the program removes.

mod record;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use self::record::{ConversionKey, ConversionLimits};
use self::record::{ConversionRecord, Failure};
use self::work::{Clock, PartProgress, Work, WorkError};
use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::progress::Figures;
use super::quota::Quota;
use super::volume::Volume;
pub use crate::convert::Part;
use crate::convert::{ConvertError, Form};

/// The wait after an error of the volume itself, when no record of the failure could be written.
const AFTER_TROUBLE: SignedDuration = SignedDuration::from_mins(1);

/// The state of a conversion.
#[derive(Debug, Clone)]
pub enum ConversionState {
    /// It waits for a slot.
    Queued,
    /// It runs.
    Running {
        /// The current part.
        part: Part,
        /// The progress of that part.
        figures: Figures,
    },
    /// The result is in the cache.
    Done {
        /// The converted image.
        blob: VerifiedBlob,
        /// The names of other disks in the appliance, which were not converted.
        left_out: Vec<String>,
    },
    /// It failed.
    Failed {
        /// What was expected and what was found.
        message: String,
        /// When it can be tried again; `None` if the image itself is the reason.
        next: Option<Timestamp>,
    },
}

/// All conversions of one operator. Cheap to clone.
#[derive(Clone)]
pub struct Conversions {
    inner: Arc<Inner>,
}

struct Inner {
    volume: Volume,
    quota: Quota,
    min_free: Option<u64>,
    limits: ConversionLimits,
    slots: Arc<Semaphore>,
    runtime: Handle,
    changed: watch::Sender<u64>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    jobs: HashMap<ConversionKey, Job>,
    starts: HashMap<ConversionKey, u64>,
    closed: bool,
}

enum Job {
    Active {
        progress: Arc<PartProgress>,
        cancelled: CancellationToken,
        task: JoinHandle<()>,
    },
    /// An error of the volume, for which no record could be written.
    Trouble {
        message: String,
        next: Timestamp,
    },
}

impl Conversions {
    /// Starts without conversions. Removes what an earlier run left in `scratch/`.
    pub(super) fn new(
        volume: Volume,
        quota: Quota,
        min_free: Option<u64>,
        limits: ConversionLimits,
        changed: watch::Sender<u64>,
    ) -> Self {
        if let Err(error) = work::clean(&volume) {
            tracing::warn!(%error, "what an earlier conversion left stays");
        }
        let slots = Arc::new(Semaphore::new(limits.at_once.max(1)));
        let (runtime, table) = (Handle::current(), Mutex::default());
        Self { inner: Arc::new(Inner { volume, quota, min_free, limits, slots, runtime, changed, table }) }
    }

    /// The state of a conversion. `None` if it was never made, or if its result no longer exists.
    pub fn look(&self, key: &ConversionKey) -> Result<Option<ConversionState>, CacheError> {
        self.state(key, PartProgress::figures)
    }

    /// The same, with progress figures that change only every few seconds, for a status.
    pub fn told(&self, key: &ConversionKey) -> Result<Option<ConversionState>, CacheError> {
        self.state(key, |progress| progress.told(Instant::now()))
    }

    /// How often this process started it, and its current part. The second value is `None` if it is neither waiting nor
    /// running, and `Some(None)` if it waits.
    pub fn stage(&self, key: &ConversionKey) -> (u64, Option<Option<Part>>) {
        let table = self.inner.table();
        let runs = table.jobs.get(key).and_then(|job| match job {
            Job::Active { progress, .. } => Some(progress.figures().map(|(part, _)| part)),
            Job::Trouble { .. } => None,
        });
        (table.starts.get(key).copied().unwrap_or_default(), runs)
    }

    fn state(
        &self,
        key: &ConversionKey,
        figures: impl FnOnce(&PartProgress) -> Option<(Part, Figures)>,
    ) -> Result<Option<ConversionState>, CacheError> {
        let state = self.inner.table().jobs.get(key).map(|job| match job {
            Job::Active { progress, .. } => figures(progress)
                .map_or(ConversionState::Queued, |(part, figures)| ConversionState::Running { part, figures }),
            Job::Trouble { message, next } => ConversionState::Failed { message: message.clone(), next: Some(*next) },
        });
        if state.is_some() { Ok(state) } else { self.ended(key) }
    }

    fn ended(&self, key: &ConversionKey) -> Result<Option<ConversionState>, CacheError> {
        let Some(record) = self.inner.volume.conversion(key)? else { return Ok(None) };
        if let Some(failure) = record.failure {
            let next = failure.next_try();
            return Ok(Some(ConversionState::Failed { message: failure.message, next }));
        }
        let Some(made) = record.made else { return Ok(None) };
        let blob = self.inner.volume.blob(&made.digest)?;
        Ok(blob.map(|blob| ConversionState::Done { blob, left_out: made.left_out }))
    }

    /// Starts a conversion. If it is already waiting or running, nothing changes.
    pub fn start(&self, source: &VerifiedBlob, form: Form, now: Timestamp) {
        let key = ConversionKey { source: *source.digest(), form };
        let mut table = self.inner.table();
        if table.closed || matches!(table.jobs.get(&key), Some(Job::Active { .. })) {
            return;
        }
        let cancelled = CancellationToken::new();
        let progress = Arc::new(PartProgress::new(&self.inner.changed));
        let work = Work {
            progress: progress.clone(),
            volume: self.inner.volume.clone(),
            quota: self.inner.quota.clone(),
            min_free: self.inner.min_free,
            limits: self.inner.limits.clone(),
            source: source.clone(),
            form,
            cancelled: cancelled.clone(),
            clock: Clock { asked: now, since: Instant::now() },
        };
        let span = tracing::info_span!("convert", conversion = %key);
        let task = self.inner.runtime.spawn(follow(self.inner.clone(), key, work).instrument(span));
        *table.starts.entry(key).or_default() += 1;
        table.jobs.insert(key, Job::Active { progress, cancelled, task });
        drop(table);
        self.inner.tell();
    }

    /// Records that a conversion is still wanted, so that its result is kept.
    pub fn keep(&self, key: &ConversionKey, now: Timestamp) -> Result<(), CacheError> {
        self.inner.volume.want_conversion(key, now)
    }

    /// Cancels a conversion that is waiting or running, because nobody wants it any more.
    pub fn cancel(&self, key: &ConversionKey) {
        if let Some(Job::Active { cancelled, .. }) = self.inner.table().jobs.get(key) {
            cancelled.cancel();
        }
    }

    /// Forgets a failure, because a user asked for a new try.
    pub fn forgive(&self, key: &ConversionKey) -> Result<(), CacheError> {
        let mut table = self.inner.table();
        if matches!(table.jobs.get(key), Some(Job::Trouble { .. })) {
            table.jobs.remove(key);
        }
        drop(table);
        self.inner.volume.forgive_conversion(key)
    }

    /// Forgets failures caused by missing space, because a user started a run.
    pub fn forgive_for_space(&self) -> Result<(), CacheError> {
        self.inner.volume.forgive_conversions_for_space()
    }

    /// Cancels all conversions and waits until none writes any more. Later starts do nothing.
    pub(super) async fn shutdown(&self) {
        let tasks: Vec<JoinHandle<()>> = {
            let mut table = self.inner.table();
            table.closed = true;
            let jobs = std::mem::take(&mut table.jobs).into_values();
            let active = jobs.filter_map(|job| match job {
                Job::Active { cancelled, task, .. } => Some((cancelled, task)),
                Job::Trouble { .. } => None,
            });
            active.map(|(cancelled, task)| (cancelled.cancel(), task).1).collect()
        };
        for task in tasks {
            let _ended = task.await;
        }
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn has_its_turn(&self, key: &ConversionKey) {
        if let Some(Job::Active { progress, .. }) = self.table().jobs.get(key) {
            progress.begin(Part::Unpack, 0);
        }
    }

    /// Stores the outcome first, and then removes the job.
    fn ended(&self, key: &ConversionKey, outcome: Result<ConversionRecord, WorkError>, now: Timestamp) {
        let written = match outcome {
            Ok(_) => Ok(()),
            Err(WorkError::Convert(ConvertError::Cancelled)) => {
                tracing::info!(conversion = %key, "cancelled");
                Ok(())
            }
            Err(WorkError::Convert(error)) => {
                tracing::warn!(conversion = %key, %error, "the image was not converted");
                self.volume.fail_conversion(key, &Failure::of(&error, now), now)
            }
            Err(WorkError::Volume(error)) => Err(error),
        };
        let mut table = self.table();
        match written {
            Ok(()) => table.jobs.remove(key),
            Err(error) => {
                tracing::warn!(conversion = %key, %error, "the image was not converted");
                let next = now.checked_add(AFTER_TROUBLE).unwrap_or(Timestamp::MAX);
                table.jobs.insert(*key, Job::Trouble { message: error.to_string(), next })
            }
        };
        drop(table);
        self.tell();
    }
}

async fn follow(inner: Arc<Inner>, key: ConversionKey, work: Work) {
    let clock = work.clock;
    let turn = tokio::select! {
        biased;
        () = work.cancelled.cancelled() => None,
        turn = inner.slots.clone().acquire_owned() => turn.ok(),
    };
    let Some(turn) = turn else {
        return inner.ended(&key, Err(WorkError::Convert(ConvertError::Cancelled)), clock.now());
    };
    inner.has_its_turn(&key);
    tracing::info!(conversion = %key, from = %work.source.format(), "converting an image");
    let runtime = inner.runtime.clone();
    // A thread that panics must end as a failed job, not as a job that never ends.
    let ended = inner.volume.blocking("convert to", move |_| Ok(work.run(&runtime))).await;
    let outcome = ended.unwrap_or_else(|error| Err(WorkError::Volume(error)));
    drop(turn);
    inner.ended(&key, outcome, clock.now());
}

impl std::fmt::Debug for Conversions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversions").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}
