//! A look at a spool from outside, beside a program that writes it.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::directory::{segment_path, segments};
use super::error::SpoolError;
use super::lines::Lines;
use super::position::{self, Saved};
use super::record::Record;
use crate::events::event::Event;
use crate::events::settings::SinkName;
use crate::fs::open_no_link;

/// A spool that is read only. It takes no lock, and changes nothing.
#[derive(Debug, Clone)]
pub struct SpoolView {
    directory: PathBuf,
}

impl SpoolView {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The events with at least this sequence number, in order, as far as they are in the spool. Damaged records are left
    /// out. Call it again with the number behind the last one for what came since.
    pub fn records(&self, from: u64) -> Result<Records, SpoolError> {
        let mut firsts: VecDeque<u64> = segments(&self.directory)?.into();
        while firsts.get(1).is_some_and(|second| *second <= from) {
            firsts.pop_front();
        }
        Ok(Records { directory: self.directory.clone(), firsts, current: None, from })
    }

    /// The last events, at most `most`, the newest first. It reads from the newest segment back, and stops when it has
    /// read `segments_read` of them.
    pub fn last(&self, most: usize, segments_read: usize) -> Result<Vec<(u64, Event)>, SpoolError> {
        let firsts = segments(&self.directory)?;
        let mut found: VecDeque<(u64, Event)> = VecDeque::new();
        let mut end = u64::MAX;
        for first in firsts.into_iter().rev().take(segments_read) {
            let mut newest = VecDeque::new();
            for record in self.records(first)? {
                let (number, event) = record?;
                if number >= end {
                    break;
                }
                newest.push_back((number, event));
                if newest.len() > most.saturating_sub(found.len()) {
                    newest.pop_front();
                }
            }
            newest.append(&mut found);
            found = newest;
            end = first;
            if found.len() >= most {
                break;
            }
        }
        Ok(found.into_iter().rev().collect())
    }

    /// For each sink the sequence number of the first event that it did not handle. A damaged position is left out.
    pub fn positions(&self) -> Result<BTreeMap<SinkName, u64>, SpoolError> {
        let mut positions = BTreeMap::new();
        for sink in position::sinks(&self.directory)? {
            if let Saved::At(position) = position::read(&self.directory, &sink)? {
                positions.insert(sink, position);
            }
        }
        Ok(positions)
    }
}

/// The events of a spool, read block by block.
#[derive(Debug)]
pub struct Records {
    directory: PathBuf,
    /// The segments that are not begun.
    firsts: VecDeque<u64>,
    current: Option<(u64, Lines)>,
    from: u64,
}

impl Records {
    /// The next event of the segment that is read.
    fn next_of_current(&mut self) -> Result<Option<(u64, Event)>, SpoolError> {
        let Some((first, lines)) = &mut self.current else { return Ok(None) };
        let path = segment_path(&self.directory, *first);
        while let Some(line) = lines.next().map_err(SpoolError::io("read", &path))? {
            let record = Record::parse(line.bytes).filter(|record| record.sequence >= self.from);
            if let Some((sequence, event)) = record.and_then(|record| Some((record.sequence, record.event()?))) {
                self.from = sequence.saturating_add(1);
                return Ok(Some((sequence, event)));
            }
        }
        Ok(None)
    }

    /// Opens the next segment that is still there; false if there is none.
    fn begin_next(&mut self) -> Result<bool, SpoolError> {
        while let Some(first) = self.firsts.pop_front() {
            let path = segment_path(&self.directory, first);
            match open_no_link(&path) {
                Ok(file) => {
                    self.current = Some((first, Lines::new(file, 0, u64::MAX)));
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(SpoolError::io("open", &path)(error)),
            }
        }
        self.current = None;
        Ok(false)
    }
}

impl Iterator for Records {
    type Item = Result<(u64, Event), SpoolError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_of_current() {
                Ok(Some(found)) => return Some(Ok(found)),
                Ok(None) => {}
                Err(error) => {
                    // What cannot be read is said once.
                    self.current = None;
                    return Some(Err(error));
                }
            }
            match self.begin_next() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
