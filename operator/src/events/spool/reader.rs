//! A reader: the events of one sink that wait, in order.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::directory::segment_path;
use super::error::SpoolError;
use super::log::{Log, lock};
use super::segment::{Found, Part, find};
use super::state::{Ahead, Segment};
use crate::events::event::Event;
use crate::events::settings::{EventFilter, SinkName};
use crate::fs::open_no_link;

/// Reads the events of one sink. They are read in blocks: at most 1 MiB and one event more are in memory.
#[derive(Debug)]
pub struct Reader {
    log: Arc<Log>,
    sink: SinkName,
    changed: watch::Receiver<()>,
    /// Where the next event is, as far as it is known.
    cursor: Cursor,
    /// What was read last: the number of each event, and the offset behind it.
    given: Vec<(u64, u64)>,
    generation: u64,
}

/// An offset in a segment, for the event with a number.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    segment: u64,
    sequence: u64,
    offset: u64,
}

impl Cursor {
    /// From where a segment is read, to find an event.
    fn offset_in(&self, segment: &Segment, sequence: u64) -> u64 {
        if self.segment == segment.first && self.sequence == sequence { self.offset } else { 0 }
    }
}

/// What a look into the log found.
struct Look {
    ahead: Ahead,
    found: Found,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, sink: SinkName) -> Self {
        let changed = log.changed.subscribe();
        Self { log, sink, changed, cursor: Cursor::default(), given: Vec::new(), generation: 0 }
    }

    /// The sink that it reads for.
    pub const fn sink(&self) -> &SinkName {
        &self.sink
    }

    /// Waits until events wait for the sink, and returns the first ones with their sequence numbers: at least one, at
    /// most `most`. Until they are passed by [`Self::advance`], the same ones are returned again. It can be dropped at
    /// any moment.
    pub async fn next(&mut self, most: usize) -> Result<Vec<(u64, Event)>, SpoolError> {
        loop {
            let events = self.ready(most).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            // It returns at once if something changed since the last time. The sender is in the log, so it is never gone.
            let _changed = self.changed.changed().await;
        }
    }

    /// The same without waiting: no events if none wait.
    pub async fn ready(&mut self, most: usize) -> Result<Vec<(u64, Event)>, SpoolError> {
        let (log, sink, cursor) = (self.log.clone(), self.sink.clone(), self.cursor);
        let look = self.blocking(move || look(&log, &sink, cursor, most.max(1))).await?;
        let Some(Look { ahead, found }) = look else { return Ok(Vec::new()) };
        self.generation = ahead.place.generation;
        if let (Some(segment), Some(first)) = (&ahead.segment, found.events.first()) {
            self.cursor = Cursor { segment: segment.first, sequence: first.sequence, offset: first.start };
        }
        self.given = found.events.iter().map(|located| (located.sequence, located.end)).collect();
        Ok(found.events.into_iter().map(|located| (located.sequence, located.event)).collect())
    }

    /// The events up to this number need no further delivery. It is durable when it returns. If it fails, the same
    /// events are not read again by this run, but they may be by the next one.
    pub async fn advance(&mut self, through: u64) -> Result<(), SpoolError> {
        let (log, sink, generation) = (self.log.clone(), self.sink.clone(), self.generation);
        let position = through.saturating_add(1);
        if let Some((_, end)) = self.given.iter().rfind(|(sequence, _)| *sequence <= through) {
            self.cursor = Cursor { sequence: position, offset: *end, ..self.cursor };
        }
        self.given.clear();
        self.blocking(move || log.advance(&sink, generation, position)).await
    }

    /// How many events wait for the sink. It reads what is in between, so it takes long if that is much.
    pub async fn waiting(&self) -> Result<u64, SpoolError> {
        let (log, sink) = (self.log.clone(), self.sink.clone());
        self.blocking(move || Ok(log.status_of(&sink)?.events)).await
    }

    /// Runs an operation of the file system where it holds no other task.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let directory = &self.log.directory;
        let ended = spawn_blocking(operation).await;
        ended.map_err(|error| SpoolError::Interrupted { path: directory.clone(), found: error.to_string() })?
    }
}

/// Finds the next events of a sink, and moves the sink over what is not for it.
fn look(log: &Log, sink: &SinkName, cursor: Cursor, most: usize) -> Result<Option<Look>, SpoolError> {
    let Some(filter) = log.filters.get(sink) else { return Ok(None) };
    loop {
        let Some(ahead) = lock(&log.state).ahead(sink) else { return Ok(None) };
        let Some(found) = look_into(log, &ahead, filter, cursor, most)? else { continue };
        let (generation, is_end) = (ahead.place.generation, found.events.is_empty());
        if found.passed > ahead.place.position {
            let passed = log.pass(sink, generation, found.passed, found.missing, is_end);
            // Events are read although the place is not saved. The next advance saves it.
            if let Err(error) = passed {
                tracing::warn!(%sink, %error, "the position of the sink is saved later");
            }
        }
        if !is_end {
            return Ok(Some(Look { ahead, found }));
        }
    }
}

/// Reads one segment; `None` if it was removed meanwhile.
fn look_into(
    log: &Log,
    ahead: &Ahead,
    filter: &EventFilter,
    cursor: Cursor,
    most: usize,
) -> Result<Option<Found>, SpoolError> {
    let (from, end) = (ahead.place.position, ahead.end);
    let nothing = Found { passed: end, missing: end.saturating_sub(from), events: Vec::new() };
    let Some(segment) = &ahead.segment else { return Ok(Some(nothing)) };
    let path = segment_path(&log.directory, segment.first);
    match open_no_link(&path) {
        Ok(file) => {
            let part = Part { segment, end, from, offset: cursor.offset_in(segment, from) };
            find(file, Path::new(&log.directory), &part, filter, most).map(Some)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // If it is not gone from the list, somebody else removed it: its records are missing.
            Ok(log.has_segment(segment.first).then_some(nothing))
        }
        Err(error) => Err(SpoolError::io("open", &path)(error)),
    }
}
