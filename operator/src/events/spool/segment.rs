//! Reads segments: what is in one, and the events of a sink in it.

use std::fs::File;
use std::path::Path;

use super::directory::segment_path;
use super::error::SpoolError;
use super::lines::{Line, Lines};
use super::record::{Head, Record};
use super::state::{Counts, Segment, takes};
use crate::events::event::Event;
use crate::events::settings::EventFilter;
use crate::fs::open_no_link;

/// The most bytes of events that are read at once, but for the last one of them.
const MOST_BYTES: u64 = 1024 * 1024;

/// What is in the last segment when the log is opened.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub counts: Counts,
    /// The sequence number behind the last whole record, if there is one.
    pub next: Option<u64>,
    /// The offset behind the last whole record.
    pub end: u64,
    /// Damaged lines before it.
    pub damaged: u64,
}

/// Opens a segment for reading.
pub(super) fn open(directory: &Path, first: u64) -> Result<File, SpoolError> {
    let path = segment_path(directory, first);
    open_no_link(&path).map_err(SpoolError::io("open", &path))
}

/// Whether a record can be in a segment: it has a number that fits the place. A record has more than one byte.
fn is_within(record: &Record<'_>, line: &Line<'_>, first: u64) -> bool {
    record.sequence >= first && record.sequence - first <= line.end
}

/// Reads a whole segment.
pub(super) fn scan(directory: &Path, first: u64, length: u64) -> Result<Scanned, SpoolError> {
    let path = segment_path(directory, first);
    let mut lines = Lines::new(open(directory, first)?, 0, length);
    let (mut scanned, mut damaged) = (Scanned::default(), 0);
    while let Some(line) = lines.next().map_err(SpoolError::io("read", &path))? {
        let record = Record::parse(line.bytes).filter(|record| is_within(record, &line, first));
        let Some(record) = record else {
            damaged += 1;
            continue;
        };
        scanned.next = scanned.next.max(Some(record.sequence + 1));
        (scanned.end, scanned.damaged) = (line.end, damaged);
        if let Some(head) = record.head() {
            scanned.counts.add(&head);
        }
    }
    Ok(scanned)
}

/// Calls `visit` with the number and head of each event of a segment from a number on, until it returns false.
pub(super) fn visit(
    directory: &Path,
    segment: &Segment,
    from: u64,
    mut visit: impl FnMut(u64, &Head) -> bool,
) -> Result<(), SpoolError> {
    let path = segment_path(directory, segment.first);
    let mut lines = Lines::new(open(directory, segment.first)?, 0, segment.length);
    while let Some(line) = lines.next().map_err(SpoolError::io("read", &path))? {
        let record = Record::parse(line.bytes).filter(|record| record.sequence >= from);
        let Some(record) = record.filter(|record| is_within(record, &line, segment.first)) else { continue };
        if record.head().is_some_and(|head| !visit(record.sequence, &head)) {
            break;
        }
    }
    Ok(())
}

/// An event with its place.
#[derive(Debug)]
pub(super) struct Located {
    pub sequence: u64,
    pub event: Event,
    /// The offset of its line.
    pub start: u64,
    /// The offset behind its line.
    pub end: u64,
}

/// The next events of a sink in a segment.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub events: Vec<Located>,
    /// What is before this number is no concern of the sink: it is handled, not for it, or missing. It is the number
    /// of the first event, if there is one.
    pub passed: u64,
    /// How many records are missing before `passed`.
    pub missing: u64,
}

/// What of a segment is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub segment: &'a Segment,
    /// The sequence number behind the segment.
    pub end: u64,
    /// The sequence number from which on events are read.
    pub from: u64,
    /// The offset of a line that is not behind it.
    pub offset: u64,
}

/// Reads at most `most` events that a sink gets. It ends before a place where records are missing, so that this place
/// is passed once.
pub(super) fn find(
    file: File,
    directory: &Path,
    part: &Part<'_>,
    filter: &EventFilter,
    most: usize,
) -> Result<Found, SpoolError> {
    let path = segment_path(directory, part.segment.first);
    let mut lines = Lines::new(file, part.offset, part.segment.length);
    let mut found = Found { passed: part.from, ..Found::default() };
    let mut expected = part.from;
    while let Some(line) = lines.next().map_err(SpoolError::io("read", &path))? {
        let within = |record: &Record<'_>| (expected..part.end).contains(&record.sequence);
        let Some(record) = Record::parse(line.bytes).filter(within) else { continue };
        let Some(event) = record.event() else { continue };
        if found.events.is_empty() {
            found.missing += record.sequence - expected;
            found.passed = record.sequence;
        } else if record.sequence != expected {
            return Ok(found);
        }
        expected = record.sequence + 1;
        if takes(filter, event.event, event.phase) {
            found.events.push(Located { sequence: record.sequence, event, start: line.start, end: line.end });
            let bytes = line.end - found.events.first().map_or(line.end, |first| first.start);
            if found.events.len() >= most || bytes >= MOST_BYTES {
                return Ok(found);
            }
        }
    }
    if found.events.is_empty() {
        found.missing += part.end - expected.min(part.end);
        found.passed = part.end;
    }
    Ok(found)
}
