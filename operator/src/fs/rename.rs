//! Gives a file its final name, durably.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::directory::parent;
use super::error::FileError;
use super::sync::sync_directory;

/// What becomes of a file that has the new name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is replaced.
    Replaced,
    /// It stays, and the call fails with [`std::io::ErrorKind::AlreadyExists`].
    Kept,
}

/// Renames a file, and syncs the directory of the new name. Both names are on one file system.
pub(crate) fn rename(from: &Path, to: &Path, existing: Existing) -> Result<(), FileError> {
    let renamed = match existing {
        Existing::Replaced => fs::rename(from, to),
        Existing::Kept => rename_new(from, to),
    };
    renamed.map_err(FileError::of("rename to", to))?;
    sync_directory(parent(to))
}

fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system or the kernel cannot do it in one step.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}
