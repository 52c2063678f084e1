//! What the spool knows of its log and its sinks in memory. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::record::{Head, SEQUENCES};
use crate::events::event::{EventType, Phase};
use crate::events::settings::{EventFilter, SinkName};

/// How many events of each sort there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<(EventType, Phase), u64>);

impl Counts {
    pub(super) fn add(&mut self, head: &Head) {
        *self.0.entry((head.event, head.phase)).or_default() += 1;
    }

    pub(super) fn add_all(&mut self, others: &Self) {
        for (sort, count) in &others.0 {
            *self.0.entry(*sort).or_default() += count;
        }
    }

    /// How many of them a sink gets.
    pub(super) fn taken(&self, filter: &EventFilter) -> u64 {
        let taken = self.0.iter().filter(|((event, phase), _)| takes(filter, *event, *phase));
        taken.map(|(_, count)| count).sum()
    }
}

/// Whether a sink gets events of this sort.
pub(super) fn takes(filter: &EventFilter, event: EventType, phase: Phase) -> bool {
    filter.types.contains(&event) && filter.phases.contains(&phase)
}

/// A file of the log. All but the last one are never written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// The sequence number of its first record.
    pub first: u64,
    /// Its bytes, without those of an append that failed.
    pub length: u64,
    /// What is in it; `None` until somebody asks. It is always known of the last segment.
    pub counts: Option<Counts>,
}

/// Where a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The sequence number of the first event that is not handled.
    pub position: u64,
    /// The position on the disk.
    pub saved: u64,
    /// It changes when the position is set by hand: what was read before does not move it then.
    pub generation: u64,
    /// How many events the sink lost since the spool was opened.
    pub lost: u64,
}

/// Where a reader goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ahead {
    pub place: Place,
    /// The segment that has the position, or the first one behind it; `None` if there is none.
    pub segment: Option<Segment>,
    /// The sequence number behind that segment, or of the next event if there is no segment.
    pub end: u64,
}

/// The state of the log.
#[derive(Debug)]
pub(super) struct State {
    /// In order.
    pub segments: VecDeque<Segment>,
    /// The sequence number of the next event.
    pub next: u64,
    pub sinks: BTreeMap<SinkName, Place>,
    /// Whether it was said that the spool is nearly full.
    pub is_high: bool,
}

impl State {
    /// The bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// What follows the position of a sink; `None` if there is no such sink, or nothing follows.
    pub(super) fn ahead(&self, sink: &SinkName) -> Option<Ahead> {
        let place = *self.sinks.get(sink)?;
        if place.position >= self.next {
            return None;
        }
        let index = self.segments.partition_point(|segment| segment.first <= place.position).saturating_sub(1);
        let segment = self.segments.get(index).cloned();
        Some(Ahead { place, segment, end: self.end_of(index) })
    }

    /// The sequence number behind a segment.
    pub(super) fn end_of(&self, index: usize) -> u64 {
        self.segments.get(index.saturating_add(1)).map_or(self.next, |segment| segment.first)
    }

    /// The first segment, if it is not the last one and all sinks have passed it, also on the disk.
    pub(super) fn passed_segment(&self) -> Option<u64> {
        let lowest = self.sinks.values().map(|place| place.position.min(place.saved)).min().unwrap_or(SEQUENCES);
        let (first, second) = (self.segments.front()?, self.segments.get(1)?);
        (second.first <= lowest).then_some(first.first)
    }

    /// Moves the position of a sink forward, unless it was set by hand since `generation`.
    pub(super) fn advance(&mut self, sink: &SinkName, generation: u64, position: u64) {
        let most = self.next;
        if let Some(place) = self.sinks.get_mut(sink).filter(|place| place.generation == generation) {
            place.position = place.position.max(position.min(most));
        }
    }

    /// What a sink lost.
    pub(super) fn lose(&mut self, sink: &SinkName, count: u64) {
        if let Some(place) = self.sinks.get_mut(sink) {
            place.lost = place.lost.saturating_add(count);
        }
    }
}
