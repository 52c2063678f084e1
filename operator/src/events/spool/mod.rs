//! The spool: events that wait on the volume until each sink has them.
//!
//! It is a log in a directory. Segments, `<first sequence number>.log`, have a line for each event; `positions/<sink>`
//! has the number of the first event that the sink did not handle. What all sinks have handled is removed, segment by
//! segment. The log is bounded: if it is full, the oldest segment is removed although sinks need it, and what each one
//! lost is counted. One program opens a directory for writing: its caller holds the lock of the volume.
//!
//! Each record has a checksum. An unfinished record at the end, as a crash leaves it, is cut off when the log is opened.
//! A damaged record elsewhere is passed over, counted as lost, and logged.

mod batch;
mod directory;
mod error;
mod lines;
mod log;
mod open;
mod place;
mod position;
mod reader;
mod record;
mod segment;
mod state;
mod status;
mod step;
#[cfg(test)]
mod tests;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::event::Event;
use super::settings::{EventFilter, SinkName};
use log::Log;
use step::StepHook;

pub use error::SpoolError;
pub use log::Appended;
pub use reader::Reader;
pub use status::{SpoolStatus, Waiting};
pub use view::{Records, SpoolView};

/// The spool. Cheap to clone: all clones are the same spool.
///
/// Its functions that are not `async` read and write files. This is short (an append is one write and one sync), but
/// it blocks: in async code, call them where other file operations of the volume are made.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Log>);

impl Spool {
    /// The directory of the spool of a volume.
    pub fn directory(volume: &Path) -> PathBuf {
        volume.join("spool")
    }

    /// Opens the spool in a directory, for at most `limit` bytes of events, and mends what a crash left.
    ///
    /// A new sink gets the events from now on. What only a sink needs that is not in `sinks` any more is removed. If
    /// there are no sinks, nothing is written, and what an earlier run wrote is removed.
    pub fn open(directory: &Path, limit: u64, sinks: &[(SinkName, EventFilter)]) -> Result<Self, SpoolError> {
        Ok(Self(Arc::new(open::open(directory, limit, sinks, StepHook::default())?)))
    }

    #[cfg(test)]
    fn open_with_steps(
        directory: &Path,
        limit: u64,
        sinks: &[(SinkName, EventFilter)],
        steps: StepHook,
    ) -> Result<Self, SpoolError> {
        Ok(Self(Arc::new(open::open(directory, limit, sinks, steps)?)))
    }

    /// A look at the spool of another program, which may be running.
    pub fn read_only(directory: &Path) -> SpoolView {
        SpoolView::new(directory)
    }

    /// Appends events. Those of the phase `after` that a sink gets are durable when it returns; others are not written.
    ///
    /// If it fails, none of them is in the log, and the same call can be made again. If the log is full, the oldest
    /// segment is removed: the result has what each sink lost (and [`Self::status`] the sum, also if the call fails). A caller with very many events makes several calls: the
    /// events of one call are in memory together, and in one segment.
    pub fn append(&self, events: &[Event]) -> Result<Appended, SpoolError> {
        self.0.append(events)
    }

    /// A reader of the events of a sink. A sink has one reader at a time.
    pub fn reader(&self, sink: &SinkName) -> Result<Reader, SpoolError> {
        self.known(sink)?;
        Ok(Reader::new(self.0.clone(), sink.clone()))
    }

    /// What waits for each sink. The first call after opening reads all that waits, later ones at most one segment a sink.
    pub fn status(&self) -> Result<SpoolStatus, SpoolError> {
        self.0.status()
    }

    /// Sets the position of a sink, durably: the first event that it gets next is the first one with at least this
    /// sequence number that is still in the spool. Returns the position.
    pub fn set_position(&self, sink: &SinkName, from: u64) -> Result<u64, SpoolError> {
        self.known(sink)?;
        self.0.set_position(sink, from)
    }

    fn known(&self, sink: &SinkName) -> Result<(), SpoolError> {
        if self.0.filters.contains_key(sink) {
            return Ok(());
        }
        let known = self.0.filters.keys().map(SinkName::as_str).collect::<Vec<_>>().join(", ");
        Err(SpoolError::UnknownSink { sink: sink.clone(), known })
    }
}
