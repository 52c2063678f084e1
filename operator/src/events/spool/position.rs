//! The positions of the sinks: for each a small file, `positions/<name>`, with the sequence number of the first event
//! that is not handled.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use super::directory::{paths, positions_path, remove, sync};
use super::error::SpoolError;
use super::record::{parse_position, position_line};
use super::step::StepHook;
use crate::events::settings::SinkName;
use crate::fs::open_no_link;

/// The prefix and suffix of temporary names. They are not names of sinks.
const TEMPORARY: (&str, &str) = (".position-", ".tmp");
/// No file of a position has more bytes.
const LONGEST: u64 = 64;

/// What is known of a sink's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saved {
    /// There is no file: the sink is new.
    New,
    /// The file is damaged.
    Damaged,
    /// The sequence number of the first event that is not handled.
    At(u64),
}

/// Reads the position of a sink.
pub(super) fn read(directory: &Path, sink: &SinkName) -> Result<Saved, SpoolError> {
    let path = positions_path(directory).join(sink.as_str());
    let file = match open_no_link(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Saved::New),
        Err(error) => return Err(SpoolError::io("open", &path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(SpoolError::io("read", &path))?;
    Ok(parse_position(&bytes).map_or(Saved::Damaged, Saved::At))
}

/// Writes the position of a sink. After a crash at any moment, the file has the old position or the new one.
pub(super) fn write(directory: &Path, sink: &SinkName, position: u64, steps: &StepHook) -> Result<(), SpoolError> {
    let folder = positions_path(directory);
    let path = folder.join(sink.as_str());
    let replace = || -> io::Result<()> {
        steps.before("position: temporary file")?;
        let mut file = tempfile::Builder::new().prefix(TEMPORARY.0).suffix(TEMPORARY.1).tempfile_in(&folder)?;
        steps.before("position: write")?;
        file.write_all(&position_line(position))?;
        steps.before("position: sync")?;
        file.as_file().sync_all()?;
        steps.before("position: rename")?;
        file.persist(&path)?;
        steps.before("position: sync directory")
    };
    replace().map_err(SpoolError::io("write", &path))?;
    sync(&folder)
}

/// The sinks that have a position.
pub(super) fn sinks(directory: &Path) -> Result<Vec<SinkName>, SpoolError> {
    let name = |path: &Path| SinkName::new(path.file_name()?.to_str()?);
    Ok(paths(&positions_path(directory))?.iter().filter_map(|path| name(path)).collect())
}

/// Removes the position of a sink.
pub(super) fn forget(directory: &Path, sink: &SinkName, steps: &StepHook) -> Result<(), SpoolError> {
    let folder = positions_path(directory);
    remove(&folder.join(sink.as_str()), "position: remove", steps)?;
    sync(&folder)
}

/// Removes the temporary files that an interrupted run left.
pub(super) fn remove_leftovers(directory: &Path, steps: &StepHook) -> Result<(), SpoolError> {
    for path in paths(&positions_path(directory))? {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(TEMPORARY.0.as_bytes()) && name.ends_with(TEMPORARY.1.as_bytes()) {
            remove(&path, "position: remove leftover", steps)?;
        }
    }
    Ok(())
}
