//! Opens the log: reads what an earlier run left, mends it, and gives each sink its place.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;

use tokio::sync::watch;

use super::directory::{ensure, open_to_write, positions_path, remove, segment_path, segments};
use super::error::SpoolError;
use super::log::{Log, Writer, lock};
use super::position::{self, Saved};
use super::segment::scan;
use super::state::{Place, Segment, State};
use super::step::StepHook;
use crate::events::settings::{EventFilter, SinkName};

/// Opens the log in a directory.
pub(super) fn open(
    directory: &Path,
    limit: u64,
    sinks: &[(SinkName, EventFilter)],
    steps: StepHook,
) -> Result<Log, SpoolError> {
    let filters: BTreeMap<SinkName, EventFilter> = sinks.iter().cloned().collect();
    if filters.is_empty() {
        clear(directory, &steps)?;
    } else {
        ensure(&positions_path(directory), &steps)?;
    }
    position::remove_leftovers(directory, &steps)?;
    forget_others(directory, &filters, &steps)?;
    let (mut state, mut writer) = read_segments(directory, &steps)?;
    let next = state.next;
    place(directory, &filters, &mut state, &steps)?;
    if state.next > next {
        // Records are missing at the end of the last segment. Numbers behind them begin the next one.
        writer.file = None;
    }
    let log = Log {
        directory: directory.to_owned(),
        limit,
        saving: filters.keys().map(|sink| (sink.clone(), Mutex::default())).collect(),
        filters,
        writer: Mutex::new(writer),
        state: Mutex::new(state),
        changed: watch::Sender::new(()),
        steps,
    };
    log.free()?;
    log.make_room(&mut lock(&log.writer), 0)?;
    log.warn_if_high();
    Ok(log)
}

/// Removes all that the spool wrote, as there is no sink.
fn clear(directory: &Path, steps: &StepHook) -> Result<(), SpoolError> {
    for first in segments(directory)? {
        remove(&segment_path(directory, first), "open: remove segment", steps)?;
    }
    forget_others(directory, &BTreeMap::new(), steps)?;
    position::remove_leftovers(directory, steps)?;
    for path in [&positions_path(directory), directory] {
        match fs::remove_dir(path) {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
                return Err(SpoolError::io("remove", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Removes the positions of sinks that are not in the settings.
fn forget_others(
    directory: &Path,
    filters: &BTreeMap<SinkName, EventFilter>,
    steps: &StepHook,
) -> Result<(), SpoolError> {
    for sink in position::sinks(directory)?.into_iter().filter(|sink| !filters.contains_key(sink)) {
        position::forget(directory, &sink, steps)?;
        tracing::info!(%sink, "the sink is not in the settings any more: what it did not get is not kept for it");
    }
    Ok(())
}

/// The segments, and the last one for writing. Only the last one is read.
fn read_segments(directory: &Path, steps: &StepHook) -> Result<(State, Writer), SpoolError> {
    let mut found = VecDeque::new();
    for first in segments(directory)? {
        let path = segment_path(directory, first);
        let length = fs::symlink_metadata(&path).map_err(SpoolError::io("look at", &path))?.len();
        found.push_back(Segment { first, length, counts: None });
    }
    let (mut next, mut file) = (1, None);
    if let Some(last) = found.back_mut() {
        let path = segment_path(directory, last.first);
        let scanned = scan(directory, last.first, last.length)?;
        let opened = open_to_write(&path, false).map_err(SpoolError::io("open", &path))?;
        if scanned.damaged > 0 {
            tracing::warn!(lines = scanned.damaged, path = %path.display(), "damaged lines in the spool are skipped");
        }
        if scanned.end < last.length {
            let cut = steps.before("open: cut").and_then(|()| opened.set_len(scanned.end));
            cut.and_then(|()| opened.sync_all()).map_err(SpoolError::io("cut", &path))?;
            let size = last.length - scanned.end;
            tracing::warn!(size, path = %path.display(), "an unfinished record at the end of the spool was cut off");
        }
        next = scanned.next.unwrap_or(last.first).max(last.first);
        (last.length, last.counts, file) = (scanned.end, Some(scanned.counts), Some(opened));
    }
    let state = State { segments: found, next, sinks: BTreeMap::new(), is_high: false };
    Ok((state, Writer { file, is_torn: false }))
}

/// Reads the places of the sinks. A new one begins at the end; one whose position is damaged gets all again.
fn place(
    directory: &Path,
    filters: &BTreeMap<SinkName, EventFilter>,
    state: &mut State,
    steps: &StepHook,
) -> Result<(), SpoolError> {
    let mut saved = BTreeMap::new();
    for sink in filters.keys() {
        saved.insert(sink, position::read(directory, sink)?);
    }
    // A number is never used twice, whatever is left of the log.
    let known = saved.values().filter_map(|saved| if let Saved::At(position) = saved { Some(*position) } else { None });
    state.next = known.fold(state.next, u64::max);
    for (sink, saved) in saved {
        let position = match saved {
            Saved::At(position) => position,
            Saved::New => state.next,
            Saved::Damaged => {
                tracing::warn!(%sink, "the position of the sink is damaged: it gets all events of the spool again");
                state.segments.front().map_or(state.next, |segment| segment.first)
            }
        };
        if saved != Saved::At(position) {
            position::write(directory, sink, position, steps)?;
        }
        state.sinks.insert(sink.clone(), Place { position, saved: position, generation: 0, lost: 0 });
    }
    Ok(())
}
