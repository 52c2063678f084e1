//! Looks at a volume for a person who searches for faults. It only reads, also while an operator uses the volume.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::append_file::takes_direct;
use super::error::CacheError;
use super::shard_folder::ShardFolder;
use super::space::Free;
use super::volume::{DIRECTORIES, Volume, holder};

/// The other names that the operator uses on a volume, beside the folders of shards: the lock and the spool of events.
const OTHERS: [&str; 2] = ["lock", "spool"];

/// What was seen of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The directories that the user of this process cannot write, each with the reason. The root is one of them.
    pub not_writable: Vec<(PathBuf, String)>,
    /// The process that uses the volume, as text.
    pub holder: Option<String>,
    /// Files and directories at the top that the operator did not make.
    pub strangers: Vec<PathBuf>,
    /// Whether downloads can be written past the page cache; `None` if the volume was not used yet, or cannot be read.
    pub takes_direct: Option<bool>,
    /// The free space.
    pub free: Free,
}

impl Inspected {
    /// Looks at the volume in a directory. `min_free` is as in [`Volume::free`].
    ///
    /// Fails if there is no directory, or if it cannot be read.
    pub fn of(root: &Path, min_free: Option<u64>) -> Result<Self, CacheError> {
        let entries = fs::read_dir(root).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => CacheError::io("read", root)(error),
            _ => CacheError::NoVolume { root: root.to_owned(), found: error.to_string() },
        })?;
        let mut strangers: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| !is_ours(&entry.file_name().to_string_lossy()))
            .map(|entry| entry.path())
            .collect();
        strangers.sort();
        let directories = DIRECTORIES.map(|name| root.join(name)).into_iter().filter(|path| path.exists());
        let not_writable = [root.to_owned()].into_iter().chain(directories).filter_map(not_writable).collect();
        let (holder, takes_direct) = match File::open(root.join("lock")) {
            Ok(lock) => (user_of(&lock), Some(takes_direct(&lock))),
            Err(_) => (None, None),
        };
        Ok(Self { not_writable, holder, strangers, takes_direct, free: Volume::free_at(root, min_free)? })
    }
}

fn is_ours(name: &str) -> bool {
    OTHERS.contains(&name)
        || name.parse::<ShardFolder>().is_ok()
        || DIRECTORIES.iter().any(|directory| directory.split('/').next() == Some(name))
        // A file system has it at its root.
        || name == "lost+found"
}

fn not_writable(path: PathBuf) -> Option<(PathBuf, String)> {
    let error = access(&path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).err()?;
    Some((path, error.to_string()))
}

/// The process that has the lock. The lock is shared for a moment, so that nothing is written.
fn user_of(lock: &File) -> Option<String> {
    match lock.try_lock_shared() {
        Ok(()) => {
            // If this fails, closing the file releases it.
            let _released = lock.unlock();
            None
        }
        Err(TryLockError::Error(_)) => None,
        Err(TryLockError::WouldBlock) => {
            let mut said = String::new();
            let read = lock.take(512).read_to_string(&mut said);
            Some(holder(if read.is_ok() { &said } else { "" }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_in_use_is_seen_with_what_does_not_belong_there() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Inspected::of(&folder.path().join("none"), None);
        assert!(matches!(missing, Err(CacheError::NoVolume { .. })), "{missing:?}");
        let volume = Volume::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("shard-1")).unwrap();
        let seen = Inspected::of(folder.path(), Some(0)).unwrap();
        assert!(seen.holder.as_ref().is_some_and(|holder| holder.starts_with("process ")), "{seen:?}");
        assert_eq!((seen.not_writable, seen.strangers), (Vec::new(), Vec::new()));
        drop(volume);
        let stranger = folder.path().join("shard-x");
        fs::write(&stranger, "").unwrap();
        let seen = Inspected::of(folder.path(), Some(0)).unwrap();
        assert_eq!((seen.holder, seen.strangers), (None, vec![stranger]));
    }
}
