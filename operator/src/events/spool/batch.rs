//! The events of one append, as lines. Pure.

use std::collections::VecDeque;

use super::error::SpoolError;
use super::record::{Head, LONGEST_LINE, OVERHEAD, add_record};
use super::state::Counts;
use crate::events::event::Event;
use crate::text::printable_json;

/// Lines that are written at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub lines: Vec<u8>,
    /// How many records there are.
    pub records: u64,
    pub counts: Counts,
}

impl Batch {
    /// The records of events, with sequence numbers from `first`, and the events that found no place: those that are
    /// too long, and the first ones if all together have more bytes than `limit`.
    pub(super) fn new<'e>(events: &[&'e Event], first: u64, limit: u64) -> Result<(Self, Vec<&'e Event>), SpoolError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut kept, mut dropped, mut bytes) = (VecDeque::new(), Vec::new(), 0_usize);
        for event in events {
            let json = json(event)?;
            let size = json.len() + OVERHEAD;
            if size > LONGEST_LINE.min(most) {
                dropped.push(*event);
                continue;
            }
            bytes += size;
            kept.push_back((*event, json));
            while bytes > most
                && let Some((event, json)) = kept.pop_front()
            {
                bytes -= json.len() + OVERHEAD;
                dropped.push(event);
            }
        }
        let mut batch = Self { lines: Vec::with_capacity(bytes), ..Self::default() };
        for (event, json) in kept {
            add_record(&mut batch.lines, first.saturating_add(batch.records), &json);
            batch.records += 1;
            batch.counts.add(&Head { time: event.time, event: event.event, phase: event.phase });
        }
        Ok((batch, dropped))
    }

    /// The bytes of all lines.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.lines.len()).unwrap_or(u64::MAX)
    }
}

/// The JSON of an event on one line, safe to show on a terminal.
fn json(event: &Event) -> Result<String, SpoolError> {
    let text = serde_json::to_string(event).map_err(|source| SpoolError::NotJson { id: event.id, source })?;
    Ok(printable_json(&text).into_owned())
}
