//! Writes small files atomically, even if the program or the machine stops in between.

use std::fs::{self};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::directory::parent;
use super::error::FileError;
use super::step::StepHook;
use super::sync::sync_directory;
use super::temporary;

/// Writes a file that is not on a volume. It is written under a temporary name in the same directory, synced and
/// renamed, and the directory is synced.
///
/// After a crash at any moment, the path holds the old bytes or the new ones. `mode` is the new file's permissions.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    write_over(parent(path), path, (bytes, mode), Durability::Durable, &StepHook::default())
}

/// What a small file has after a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The old bytes or the new ones, and the new ones once the write has returned: the file and the directory are synced.
    Durable,
    /// The old bytes or the new ones. The caller syncs the directory after other changes in it.
    Whole,
    /// Anything: nothing is synced. A kill of the program leaves the old bytes or the new ones.
    Unsynced,
}

/// The same, with the temporary file in a given directory of the same file system.
pub(crate) fn write_over(
    temporary: &Path,
    path: &Path,
    (bytes, mode): (&[u8], u32),
    durability: Durability,
    steps: &StepHook,
) -> Result<(), FileError> {
    steps.before("write: temporary file");
    let failed = FileError::of("make a temporary file in", temporary);
    let mut file = temporary::file_in(temporary).map_err(failed)?;
    file.write_all(bytes).map_err(FileError::of("write", path))?;
    // Users and clouds have to be able to read it, whatever the umask is.
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(FileError::of("set the mode of", path))?;
    if durability != Durability::Unsynced {
        steps.before("write: sync");
        file.as_file().sync_all().map_err(FileError::of("sync", path))?;
    }
    steps.before("write: rename");
    file.persist(path).map_err(|error| FileError::of("rename to", path)(error.error))?;
    if durability != Durability::Durable {
        return Ok(());
    }
    steps.before("write: sync directory");
    sync_directory(parent(path))
}
