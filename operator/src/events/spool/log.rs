//! The log: appends events to the last segment, and makes room for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::batch::Batch;
use super::directory::{open_to_write, remove, segment_path, sync};
use super::error::SpoolError;
use super::segment::visit;
use super::state::{Counts, Segment, State, takes};
use super::step::StepHook;
use crate::events::event::{Event, Phase};
use crate::events::settings::{EventFilter, SinkName};

/// What an append did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many events were written. Those that no sink gets are not.
    pub written: u64,
    /// How many undelivered events each sink lost, because the spool was full. They were logged.
    pub lost: BTreeMap<SinkName, u64>,
}

/// The log with its state. Locks are taken in the order `writer`, `saving`, `state`.
#[derive(Debug)]
pub(super) struct Log {
    pub directory: PathBuf,
    /// The most bytes of all segments.
    pub limit: u64,
    pub filters: BTreeMap<SinkName, EventFilter>,
    /// Held while segments are made, written or removed.
    pub writer: Mutex<Writer>,
    /// Held while the position of the sink is written.
    pub saving: BTreeMap<SinkName, Mutex<()>>,
    /// Never held while a file is read or written.
    pub state: Mutex<State>,
    /// Changes when there may be something new to read.
    pub changed: watch::Sender<()>,
    pub steps: StepHook,
}

/// The last segment, as it is written.
#[derive(Debug)]
pub(super) struct Writer {
    /// The file, if the log has a segment.
    pub file: Option<File>,
    /// Whether an append failed and what it wrote may still be there.
    pub is_torn: bool,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// The size at which the next segment is begun. A full log loses one segment at a time, so a small log has small ones.
    fn segment_size(&self) -> u64 {
        (self.limit / 16).clamp(4 * 1024, 1024 * 1024)
    }

    /// Appends the events that a sink gets. They are durable when it returns.
    pub(super) fn append(&self, events: &[Event]) -> Result<Appended, SpoolError> {
        let is_wanted =
            |event: &&Event| event.phase == Phase::After && self.filters.values().any(|filter| filter.takes(event));
        let wanted: Vec<&Event> = events.iter().filter(is_wanted).collect();
        if wanted.is_empty() {
            return Ok(Appended::default());
        }
        let mut writer = lock(&self.writer);
        self.mend(&mut writer)?;
        let first = lock(&self.state).next;
        let (batch, dropped) = Batch::new(&wanted, first, self.limit)?;
        let mut lost = self.make_room(&mut writer, batch.bytes())?;
        if batch.records > 0 {
            self.begin_segment(&mut writer, batch.bytes())?;
            self.write(&mut writer, &batch)?;
        }
        self.lose(&self.takers(&dropped), &mut lost);
        self.warn_if_high();
        self.changed.send_replace(());
        Ok(Appended { written: batch.records, lost })
    }

    /// Cuts off what a failed append wrote.
    fn mend(&self, writer: &mut Writer) -> Result<(), SpoolError> {
        let last = lock(&self.state).segments.back().map(|segment| (segment.first, segment.length));
        if let (true, Some(file), Some((first, length))) = (writer.is_torn, &writer.file, last) {
            let cut = self.steps.before("append: cut").and_then(|()| file.set_len(length));
            cut.map_err(SpoolError::io("cut", &segment_path(&self.directory, first)))?;
        }
        writer.is_torn = false;
        Ok(())
    }

    /// Begins the next segment, if there is none or the last one is full.
    fn begin_segment(&self, writer: &mut Writer, needed: u64) -> Result<(), SpoolError> {
        let (next, length) = {
            let state = lock(&self.state);
            (state.next, state.segments.back().map_or(0, |segment| segment.length))
        };
        if writer.file.is_some() && (length == 0 || length.saturating_add(needed) <= self.segment_size()) {
            return Ok(());
        }
        // Until the new one is ready there is none: a record behind its number in the old one would be lost.
        writer.file = None;
        let path = segment_path(&self.directory, next);
        let made = self.steps.before("append: new segment").and_then(|()| open_to_write(&path, true));
        let file = made.map_err(SpoolError::io("make", &path))?;
        let synced = self.steps.before("append: sync directory").map_err(SpoolError::io("sync", &path));
        synced.and_then(|()| sync(&self.directory))?;
        writer.file = Some(file);
        let segment = Segment { first: next, length: 0, counts: Some(Counts::default()) };
        lock(&self.state).segments.push_back(segment);
        Ok(())
    }

    /// Writes a batch behind the last record: one write, one sync.
    fn write(&self, writer: &mut Writer, batch: &Batch) -> Result<(), SpoolError> {
        let last = lock(&self.state).segments.back().map(|segment| (segment.first, segment.length));
        let (Some(file), Some((first, length))) = (&writer.file, last) else {
            let found = "no segment to write to".to_owned();
            return Err(SpoolError::Interrupted { path: self.directory.clone(), found });
        };
        let path = segment_path(&self.directory, first);
        let write = || {
            self.steps.before("append: write")?;
            file.write_all_at(&batch.lines, length)?;
            self.steps.before("append: sync")?;
            file.sync_data()
        };
        if let Err(error) = write() {
            writer.is_torn = true;
            if let Err(error) = self.mend(writer) {
                tracing::warn!(%error, "what a failed append wrote is cut off at the next one");
            }
            return Err(SpoolError::io("write", &path)(error));
        }
        let mut state = lock(&self.state);
        state.next = state.next.saturating_add(batch.records);
        if let Some(segment) = state.segments.back_mut() {
            segment.length += batch.bytes();
            segment.counts.get_or_insert_default().add_all(&batch.counts);
        }
        Ok(())
    }

    /// Removes the first segments until `needed` bytes more are within the limit. Returns what each sink lost.
    pub(super) fn make_room(&self, writer: &mut Writer, needed: u64) -> Result<BTreeMap<SinkName, u64>, SpoolError> {
        let mut lost = BTreeMap::new();
        loop {
            let (segment, end, is_last) = {
                let state = lock(&self.state);
                let is_enough = state.bytes().saturating_add(needed) <= self.limit;
                let Some(first) = state.segments.front().filter(|_| !is_enough) else { return Ok(lost) };
                (first.clone(), state.end_of(0), state.segments.len() == 1)
            };
            let losses = self.undelivered(&segment, end);
            remove(&segment_path(&self.directory, segment.first), "limit: remove segment", &self.steps)?;
            if is_last {
                writer.file = None;
            }
            let behind: Vec<SinkName> = {
                let mut state = lock(&self.state);
                state.segments.pop_front();
                let behind = state.sinks.iter_mut().filter(|(_, place)| place.position < end);
                behind.map(|(sink, place)| (sink.clone(), place.position = end).0).collect()
            };
            self.lose(&losses, &mut lost);
            for sink in behind {
                // Where it is not saved, the next run finds that records are missing.
                if let Err(error) = self.save(&sink) {
                    tracing::warn!(%sink, %error, "the position of the sink is saved later");
                }
            }
        }
    }

    /// How many events of a segment each sink still needs.
    fn undelivered(&self, segment: &Segment, end: u64) -> BTreeMap<SinkName, u64> {
        let places = lock(&self.state).sinks.clone();
        let mut needed: BTreeMap<SinkName, u64> = BTreeMap::new();
        let from = places.values().map(|place| place.position).min().unwrap_or(end);
        if from >= end {
            return needed;
        }
        let counted = visit(&self.directory, segment, from, |sequence, head| {
            for (sink, filter) in &self.filters {
                let waits = places.get(sink).is_some_and(|place| place.position <= sequence);
                if waits && takes(filter, head.event, head.phase) {
                    *needed.entry(sink.clone()).or_default() += 1;
                }
            }
            true
        });
        if let Err(error) = counted {
            tracing::warn!(%error, "events that are removed cannot be counted: all of them count as lost");
            let all = places.iter().map(|(sink, place)| (sink.clone(), end.saturating_sub(place.position)));
            return all.filter(|(_, count)| *count > 0).collect();
        }
        needed
    }

    /// How many of these events each sink gets.
    fn takers(&self, events: &[&Event]) -> BTreeMap<SinkName, u64> {
        let mut takers = BTreeMap::new();
        for (sink, filter) in &self.filters {
            let count = events.iter().filter(|event| filter.takes(event)).fold(0, |count: u64, _| count + 1);
            if count > 0 {
                takers.insert(sink.clone(), count);
            }
        }
        takers
    }

    /// Records and logs losses, and adds them to `all`.
    fn lose(&self, losses: &BTreeMap<SinkName, u64>, all: &mut BTreeMap<SinkName, u64>) {
        for (sink, count) in losses {
            lock(&self.state).lose(sink, *count);
            *all.entry(sink.clone()).or_default() += count;
            tracing::error!(%sink, lost = count, limit = self.limit, "the spool is full: undelivered events were removed");
        }
    }

    /// Whether a segment is in the log. It waits for a removal that is running.
    pub(super) fn has_segment(&self, first: u64) -> bool {
        let _writer = lock(&self.writer);
        lock(&self.state).segments.iter().any(|segment| segment.first == first)
    }

    /// Warns at 80 % of the limit.
    pub(super) fn warn_if_high(&self) {
        let mut state = lock(&self.state);
        let bytes = state.bytes();
        if !state.is_high && u128::from(bytes) * 100 >= u128::from(self.limit) * 80 {
            state.is_high = true;
            drop(state);
            tracing::warn!(size = bytes, limit = self.limit, "the spool is nearly full: a sink does not take events");
        }
    }
}
