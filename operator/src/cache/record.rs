//! Small JSON files: read with a bound, never trusted to be whole.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::CacheError;
use super::volume::Volume;
use super::write::write_with_steps;

/// No record or state is larger.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a record; `None` where there is none, [`CacheError::StateCorrupt`] where it is not what it should be.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(CacheError::io("open", path)(error)),
    };
    let corrupt = |message: String| CacheError::StateCorrupt { path: path.to_owned(), message };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(CacheError::io("read", path))?;
    if bytes.len() as u64 > LARGEST {
        return Err(corrupt(format!("expected at most {LARGEST} bytes, found more")));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| corrupt(format!("expected its JSON, found {error}")))
}

/// Writes a record, readable by everyone.
pub(super) fn write<T: Serialize>(volume: &Volume, path: &Path, value: &T) -> Result<(), CacheError> {
    volume.prepare(path)?;
    let corrupt =
        |error: serde_json::Error| CacheError::StateCorrupt { path: path.to_owned(), message: error.to_string() };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(corrupt)?;
    bytes.push(b'\n');
    write_with_steps(path, &bytes, 0o644, volume.steps())
}
