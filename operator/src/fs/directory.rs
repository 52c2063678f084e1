//! Operations on files and directories that are durable, or do not follow links.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::FileError;
use super::sync::sync_directory;

/// Makes a directory and its missing parents. Each is synced into its parent.
pub(crate) fn ensure_directory(directory: &Path) -> Result<(), FileError> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = parent(directory);
    ensure_directory(above)?;
    match make_directory(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        made => made.map_err(FileError::of("make the directory", directory)).and_then(|()| sync_directory(above)),
    }
}

/// Makes a directory that users and clouds can read, whatever the umask is.
pub(crate) fn make_directory(directory: &Path) -> std::io::Result<()> {
    fs::create_dir(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

/// The parent directory of a path.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a file. It is not an error if it does not exist.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::of("remove", path)(error)),
    }
}

/// The sorted paths in a directory below one of the volume's own directories. Empty if the directory does not exist, or
/// if it is a symbolic link, which could lead out of the volume.
pub(crate) fn read_directory(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    if directory.is_symlink() { Ok(Vec::new()) } else { read_own_directory(directory) }
}

/// The same for the volume's own directories, which may be symbolic links to other disks.
pub(crate) fn read_own_directory(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(FileError::of("read", directory)(error)),
    };
    let paths: Result<Vec<PathBuf>, std::io::Error> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(FileError::of("read", directory))?;
    paths.sort();
    Ok(paths)
}

/// Does not follow a symbolic link at the end of a path.
pub(crate) const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Opens a file for reading, without following a symbolic link.
pub(crate) fn open_no_link(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(NO_LINK).open(path)
}
