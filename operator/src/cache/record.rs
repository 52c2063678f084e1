//! Small JSON files. They are read with a size limit and may be incomplete or corrupt.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::CacheError;
use super::volume::Volume;

/// The maximum size of a record or a state file, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a record. `None` if there is none; [`CacheError::StateCorrupt`] if it cannot be parsed.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    // A directory or named pipe is not a record, and opening a pipe would block forever.
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Ok(None);
    }
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

/// The same for the records next to links and blobs. A record that cannot be parsed or read counts as none. The bytes
/// of the blob are then verified again.
pub(super) fn read_beside<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    match read(path) {
        Err(CacheError::StateCorrupt { .. }) => Ok(None),
        Err(CacheError::File(error)) if error.source.kind() == ErrorKind::PermissionDenied => Ok(None),
        read_or_failed => read_or_failed,
    }
}

/// Writes a record, readable by everyone.
pub(super) fn write<T: Serialize>(volume: &Volume, path: &Path, value: &T) -> Result<(), CacheError> {
    write_as(volume, path, value, 0o644)
}

/// Writes a record with these permissions.
pub(super) fn write_as<T: Serialize>(volume: &Volume, path: &Path, value: &T, mode: u32) -> Result<(), CacheError> {
    let corrupt =
        |error: serde_json::Error| CacheError::StateCorrupt { path: path.to_owned(), message: error.to_string() };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(corrupt)?;
    bytes.push(b'\n');
    volume.write_file(path, &bytes, mode)
}
