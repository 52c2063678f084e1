//! Files that are not complete yet, under names of their own, and what a run left of them that was cut off.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use tempfile::NamedTempFile;

use super::blob::read_own_directory;
use super::error::CacheError;
use super::write::remove;

/// What their names begin and end with. Everything so named is the operator's own.
const NAME: (&str, &str) = (".vmcatcher-", ".tmp");

/// Makes something in a directory under a temporary name, which goes with what is returned.
pub(super) fn make_in<T>(
    directory: &Path,
    make: impl FnMut(&Path) -> std::io::Result<T>,
) -> std::io::Result<NamedTempFile<T>> {
    tempfile::Builder::new().prefix(NAME.0).suffix(NAME.1).make_in(directory, make)
}

/// A new file under a temporary name, locked as long as it is open: so others see that somebody writes to it.
pub(super) fn file_in(directory: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(NAME.0).suffix(NAME.1).tempfile_in(directory)?;
        // Where there are no locks, others leave it alone.
        let _unlocked = file.as_file().try_lock();
        // Before it was locked somebody may have taken it for one that was left.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes temporary files that a run left behind, in a directory that several programs may write to: those that
/// nobody writes to any more.
pub fn remove_leftovers_in(directory: &Path) -> Result<(), CacheError> {
    for path in read_own_directory(directory)? {
        if is_ours(&path) && is_left(&path)? {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes all temporary files from a directory, and from those below it, to which this program alone writes, and not
/// now. Links in it are not followed.
pub fn remove_leftovers_below(directory: &Path) -> Result<(), CacheError> {
    for path in read_own_directory(directory)? {
        let about = match fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(CacheError::io("look at", &path)(error)),
        };
        if about.is_dir() {
            remove_leftovers_below(&path)?;
        } else if is_ours(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(NAME.0.as_bytes()) && name.ends_with(NAME.1.as_bytes())
}

/// Whether nobody writes to a file. A link or a pipe of that name is nobody's file.
fn is_left(path: &Path) -> Result<bool, CacheError> {
    if !fs::symlink_metadata(path).is_ok_and(|about| about.is_file()) {
        return Ok(false);
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(false),
        Err(error) => return Err(CacheError::io("open", path)(error)),
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
