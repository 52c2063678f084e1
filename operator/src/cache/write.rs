//! How small files get to their place: whole or not at all, whatever happens in between.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::CacheError;
use super::step::StepHook;
use super::temporary;

/// Writes a file that is on no volume: under a temporary name beside its own, synced, renamed, the directory synced.
///
/// After a crash at any moment the path holds the old bytes or the new ones. `mode` is the new file's permissions.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CacheError> {
    write_over(parent(path), path, bytes, mode, &StepHook::default())
}

/// The same with the temporary name in a directory of the same file system.
pub(super) fn write_over(
    temporary: &Path,
    path: &Path,
    bytes: &[u8],
    mode: u32,
    steps: &StepHook,
) -> Result<(), CacheError> {
    steps.before("write: temporary file");
    let failed = CacheError::io("make a temporary file in", temporary);
    let mut file = temporary::file_in(temporary).map_err(failed)?;
    file.write_all(bytes).map_err(CacheError::io("write", path))?;
    // Clouds and people have to be able to read, whatever the umask says.
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))
        .map_err(CacheError::io("set the mode of", path))?;
    steps.before("write: sync");
    file.as_file().sync_all().map_err(CacheError::io("sync", path))?;
    steps.before("write: rename");
    file.persist(path).map_err(|error| CacheError::io("rename to", path)(error.error))?;
    steps.before("write: sync directory");
    sync_directory(parent(path))
}

/// Makes what was renamed, linked or removed in a directory survive a power cut.
pub(super) fn sync_directory(directory: &Path) -> Result<(), CacheError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(CacheError::io("sync", directory))
}

/// Makes a directory and those above it, where they are missing, each synced into the one above.
pub(super) fn ensure_directory(directory: &Path) -> Result<(), CacheError> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = parent(directory);
    ensure_directory(above)?;
    match make_directory(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        made => made.map_err(CacheError::io("make the directory", directory)).and_then(|()| sync_directory(above)),
    }
}

/// Makes a directory that clouds and people can read, whatever the umask says.
pub(super) fn make_directory(directory: &Path) -> std::io::Result<()> {
    fs::create_dir(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

/// The directory that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a file; that it is gone already is as good.
pub(super) fn remove(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CacheError::io("remove", path)(error)),
    }
}
