//! Temporary files for incomplete data, and the removal of those that an interrupted run left.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use tempfile::NamedTempFile;

use super::directory::{read_own_directory, remove};
use super::error::FileError;

/// The prefix and suffix of their names. Every file with these belongs to the operator.
const NAME: (&str, &str) = (".vmcatcher-", ".tmp");

/// Makes something in a directory under a temporary name. It is removed when the returned value is dropped.
pub(crate) fn make_in<T>(
    directory: &Path,
    make: impl FnMut(&Path) -> std::io::Result<T>,
) -> std::io::Result<NamedTempFile<T>> {
    tempfile::Builder::new().prefix(NAME.0).suffix(NAME.1).make_in(directory, make)
}

/// A new file under a temporary name. It is locked while it is open, so that others see that it is in use.
pub(crate) fn file_in(directory: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(NAME.0).suffix(NAME.1).tempfile_in(directory)?;
        // If the file system has no locks, others do not remove it.
        let _unlocked = file.as_file().try_lock();
        // Another process may have removed it as a leftover before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes leftover temporary files in a directory that several programs may write to: those that are not locked.
pub fn remove_leftovers_in(directory: &Path) -> Result<(), FileError> {
    for path in read_own_directory(directory)? {
        if is_ours(&path) && is_left(&path)? {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes all temporary files in a directory and its subdirectories. Only this program may write there, and it must
/// not be writing at this time. Symbolic links are not followed.
pub fn remove_leftovers_below(directory: &Path) -> Result<(), FileError> {
    let failed = FileError::of("read", directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        // Most file systems return the type with the name, so that no file is looked at.
        let is_directory = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(FileError::of("look at", &entry.path())(error)),
        };
        if is_directory {
            remove_leftovers_below(&entry.path())?;
        } else if is_ours(Path::new(&entry.file_name())) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(NAME.0.as_bytes()) && name.ends_with(NAME.1.as_bytes())
}

/// Whether a file is not in use. A symbolic link or a pipe does not count.
fn is_left(path: &Path) -> Result<bool, FileError> {
    if !fs::symlink_metadata(path).is_ok_and(|about| about.is_file()) {
        return Ok(false);
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(false),
        Err(error) => return Err(FileError::of("open", path)(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_writes_to_any_more_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let living = file_in(folder.path()).unwrap();
        fs::write(path("victim"), "theirs").unwrap();
        for name in [".vmcatcher-abc.tmp", ".vmcatcher-", "vmcatcher-abc.tmp", ".other.tmp"] {
            fs::write(path(name), "half").unwrap();
        }
        std::os::unix::fs::symlink(path("victim"), path(".vmcatcher-link.tmp")).unwrap();
        fs::create_dir(path("below")).unwrap();
        fs::write(path("below/.vmcatcher-def.tmp"), "half").unwrap();
        remove_leftovers_in(folder.path()).unwrap();
        assert!(!path(".vmcatcher-abc.tmp").exists() && living.path().exists());
        assert!(path("below/.vmcatcher-def.tmp").exists() && path(".vmcatcher-link.tmp").exists());
        drop(living);
        std::os::unix::fs::symlink(path("below"), path("round")).unwrap();
        remove_leftovers_below(folder.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".other.tmp", ".vmcatcher-", "below", "round", "victim", "vmcatcher-abc.tmp"]);
        assert_eq!(fs::read_dir(path("below")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(path("victim")).unwrap(), "theirs");
        remove_leftovers_in(&path("nowhere")).unwrap();
    }
}
