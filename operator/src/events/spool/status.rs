//! The status of the spool: what waits, for whom, since when.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::error::SpoolError;
use super::log::{Log, lock};
use super::segment::{scan, visit};
use super::state::{Counts, Segment, takes};
use crate::events::settings::SinkName;

/// The status of the spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolStatus {
    /// The bytes of all segments.
    pub bytes: u64,
    /// The most bytes that they may have.
    pub limit: u64,
    /// The sinks.
    pub sinks: BTreeMap<SinkName, Waiting>,
}

/// What waits for a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The sequence number of the first event that is not handled.
    pub position: u64,
    /// The events that wait.
    pub events: u64,
    /// When the first of them occurred.
    pub oldest: Option<Timestamp>,
    /// The bytes of the segments that have them.
    pub bytes: u64,
    /// The events that the sink lost since the start, because the spool was full or damaged.
    pub lost: u64,
}

impl Log {
    /// The status of all sinks.
    pub(super) fn status(&self) -> Result<SpoolStatus, SpoolError> {
        let bytes = lock(&self.state).bytes();
        let sinks: Result<_, SpoolError> =
            self.filters.keys().map(|sink| Ok((sink.clone(), self.status_of(sink)?))).collect();
        Ok(SpoolStatus { bytes, limit: self.limit, sinks: sinks? })
    }

    /// The status of a sink. Segments that were never looked at are read.
    pub(super) fn status_of(&self, sink: &SinkName) -> Result<Waiting, SpoolError> {
        let Some(filter) = self.filters.get(sink) else { return Ok(Waiting::default()) };
        let (place, segments) = {
            let state = lock(&self.state);
            let Some(place) = state.sinks.get(sink).copied() else { return Ok(Waiting::default()) };
            let behind = (0..state.segments.len()).filter(|index| state.end_of(*index) > place.position);
            let segments: Vec<Segment> = behind.filter_map(|index| state.segments.get(index).cloned()).collect();
            (place, segments)
        };
        let mut waiting = Waiting { position: place.position, lost: place.lost, ..Waiting::default() };
        for segment in &segments {
            let is_whole = segment.first >= place.position;
            let whole = if is_whole { self.counts(segment)?.taken(filter) } else { 0 };
            // A whole segment is read only for the time of the first event.
            if !is_whole || (whole > 0 && waiting.oldest.is_none()) {
                let visited = visit(&self.directory, segment, place.position, |_, head| {
                    let taken = takes(filter, head.event, head.phase);
                    waiting.events += u64::from(taken && !is_whole);
                    waiting.oldest = waiting.oldest.or(taken.then_some(head.time));
                    !is_whole || waiting.oldest.is_none()
                });
                self.unless_gone(segment, visited)?;
            }
            waiting.events += whole;
            waiting.bytes += segment.length;
        }
        Ok(waiting)
    }

    /// What is in a segment.
    fn counts(&self, segment: &Segment) -> Result<Counts, SpoolError> {
        if let Some(counts) = &segment.counts {
            return Ok(counts.clone());
        }
        let scanned = scan(&self.directory, segment.first, segment.length).map(|scanned| scanned.counts);
        let counts = self.unless_gone(segment, scanned)?;
        let mut state = lock(&self.state);
        if let Some(known) = state.segments.iter_mut().find(|known| known.first == segment.first) {
            known.counts.get_or_insert_with(|| counts.clone());
        }
        Ok(counts)
    }

    /// A segment that was removed while it was looked at has nothing.
    fn unless_gone<T: Default>(&self, segment: &Segment, result: Result<T, SpoolError>) -> Result<T, SpoolError> {
        match result {
            Err(_) if !self.has_segment(segment.first) => Ok(T::default()),
            result => result,
        }
    }
}
