//! The places of the sinks in the log: they move, are saved, and free segments.

use super::directory::{remove, segment_path};
use super::error::SpoolError;
use super::log::{Log, lock};
use super::position;
use crate::events::settings::SinkName;

impl Log {
    /// Moves a sink forward to a position, durably, unless its position was set by hand since `generation`.
    pub(super) fn advance(&self, sink: &SinkName, generation: u64, position: u64) -> Result<(), SpoolError> {
        lock(&self.state).advance(sink, generation, position);
        self.save(sink)?;
        self.free()
    }

    /// Moves a sink over what it does not get. This is durable with the next [`Self::advance`], or at once if records
    /// are missing, or with the end of a segment.
    pub(super) fn pass(
        &self,
        sink: &SinkName,
        generation: u64,
        position: u64,
        missing: u64,
        is_end: bool,
    ) -> Result<(), SpoolError> {
        {
            let mut state = lock(&self.state);
            if state.sinks.get(sink).is_none_or(|place| place.generation != generation || place.position >= position) {
                return Ok(());
            }
            state.advance(sink, generation, position);
            state.lose(sink, missing);
        }
        if missing > 0 {
            let path = self.directory.display();
            tracing::error!(%sink, missing, before = position, %path, "records of the spool are damaged or missing");
        }
        if missing > 0 || is_end {
            self.save(sink)?;
            self.free()?;
        }
        Ok(())
    }

    /// Sets the position of a sink by hand: the first event that it gets has at least this number. Returns the position,
    /// which is within what the log has.
    pub(super) fn set_position(&self, sink: &SinkName, from: u64) -> Result<u64, SpoolError> {
        let position = {
            // So that no segment goes in between.
            let _writer = lock(&self.writer);
            let mut state = lock(&self.state);
            let position = from.min(state.next).max(state.segments.front().map_or(state.next, |first| first.first));
            if let Some(place) = state.sinks.get_mut(sink) {
                place.position = position;
                place.generation += 1;
            }
            position
        };
        self.save(sink)?;
        self.free()?;
        self.changed.send_replace(());
        Ok(position)
    }

    /// Writes the position of a sink, if it is not on the disk.
    pub(super) fn save(&self, sink: &SinkName) -> Result<(), SpoolError> {
        let Some(saving) = self.saving.get(sink) else { return Ok(()) };
        let _saving = lock(saving);
        let Some(place) = lock(&self.state).sinks.get(sink).copied() else { return Ok(()) };
        if place.position == place.saved {
            return Ok(());
        }
        position::write(&self.directory, sink, place.position, &self.steps)?;
        if let Some(saved) = lock(&self.state).sinks.get_mut(sink) {
            saved.saved = place.position;
        }
        Ok(())
    }

    /// Removes the segments that all sinks have passed.
    pub(super) fn free(&self) -> Result<(), SpoolError> {
        if lock(&self.state).passed_segment().is_none() {
            return Ok(());
        }
        let _writer = lock(&self.writer);
        loop {
            let Some(first) = lock(&self.state).passed_segment() else { break };
            remove(&segment_path(&self.directory, first), "free: remove segment", &self.steps)?;
            lock(&self.state).segments.pop_front();
        }
        let mut state = lock(&self.state);
        let is_low = u128::from(state.bytes()) * 100 < u128::from(self.limit) * 70;
        state.is_high &= !is_low;
        Ok(())
    }
}
