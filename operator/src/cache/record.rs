//! Small JSON files: records, and the persistent state in `state/`. They are read with a size limit and may be
//! incomplete or corrupt.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::CacheError;
use super::name::StatePath;
use super::volume::Volume;
use crate::fs::{Durability, parent, sync_directory};

/// The maximum size of a record or a state file, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Opening does not wait for the other end of a pipe.
const NO_WAIT: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Reads a record. `None` if there is none; [`CacheError::StateCorrupt`] if it cannot be parsed.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    // A directory or named pipe is not a record, and opening a pipe would block for ever without this flag.
    let file = match File::options().read(true).custom_flags(NO_WAIT).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(CacheError::io("open", path)(error)),
    };
    let about = file.metadata().map_err(CacheError::io("look at", path))?;
    if !about.is_file() {
        return Ok(None);
    }
    let corrupt = |message: String| CacheError::StateCorrupt { path: path.to_owned(), message };
    // One more, so that the end is found without more memory.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(LARGEST)).unwrap_or(0) + 1);
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
    write_as(volume, path, value, (0o644, Durability::Durable))
}

/// Writes a record with these permissions.
pub(super) fn write_as<T: Serialize>(
    volume: &Volume,
    path: &Path,
    value: &T,
    (mode, durability): (u32, Durability),
) -> Result<(), CacheError> {
    let corrupt =
        |error: serde_json::Error| CacheError::StateCorrupt { path: path.to_owned(), message: error.to_string() };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(corrupt)?;
    bytes.push(b'\n');
    volume.write_file_as(path, (&bytes, mode), durability)
}

impl Volume {
    /// Reads a state; `None` if it was never written.
    ///
    /// Fails with [`CacheError::StateCorrupt`] if the file does not contain a `T`. Such a file is never treated as
    /// empty or overwritten. The caller decides; [`Volume::set_state_aside`] moves it away.
    pub fn read_state<T: DeserializeOwned>(&self, state: &StatePath) -> Result<Option<T>, CacheError> {
        read(&self.state_path(state))
    }

    /// Writes a state atomically.
    pub fn write_state<T: Serialize>(&self, state: &StatePath, value: &T) -> Result<(), CacheError> {
        write(self, &self.state_path(state), value)
    }

    /// The same for a secret: only the operator's user can read the file.
    pub fn write_secret_state<T: Serialize>(&self, state: &StatePath, value: &T) -> Result<(), CacheError> {
        write_as(self, &self.state_path(state), value, (0o600, Durability::Durable))
    }

    /// Removes a state, if there is one.
    pub fn remove_state(&self, state: &StatePath) -> Result<(), CacheError> {
        let path = self.state_path(state);
        self.remove_file(&path)
    }

    /// Moves an unreadable state to `*.corrupt-<n>` next to it, for inspection by an administrator, and returns its new
    /// path.
    pub fn set_state_aside(&self, state: &StatePath) -> Result<PathBuf, CacheError> {
        let path = self.state_path(state);
        self.writable(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = unused(|n| path.with_file_name(format!("{name}.corrupt-{n}")));
        fs::rename(&path, &aside).map_err(CacheError::io("set aside", &path))?;
        sync_directory(parent(&path))?;
        Ok(aside)
    }

    /// The path of the file of a state, whether or not it was ever written.
    pub fn state_path(&self, state: &StatePath) -> PathBuf {
        self.path("state").join(state.relative())
    }
}

/// The first path made from 1, 2, 3, … that does not exist.
pub(super) fn unused(path: impl Fn(u64) -> PathBuf) -> PathBuf {
    let mut n = 1;
    while fs::symlink_metadata(path(n)).is_ok() {
        n += 1;
    }
    path(n)
}
