//! The files of the spool: their names, and operations on them that are durable and do not follow links.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::SpoolError;
use super::record::SEQUENCES;
use super::step::StepHook;
use crate::fs::{NO_LINK, parent, sync_directory};

/// The path of the segment whose first record has this sequence number.
pub(super) fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.log"))
}

/// The directory of the positions.
pub(super) fn positions_path(directory: &Path) -> PathBuf {
    directory.join("positions")
}

/// The first sequence numbers of all segments, in order. Files with other names are not the spool's.
pub(super) fn segments(directory: &Path) -> Result<Vec<u64>, SpoolError> {
    let first = |path: &PathBuf| {
        let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
        let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let first = is_number.then(|| digits.parse::<u64>().ok())??;
        (first < SEQUENCES).then_some(first)
    };
    let mut found: Vec<u64> = paths(directory)?.iter().filter_map(first).collect();
    found.sort_unstable();
    Ok(found)
}

/// What is in a directory; nothing if it does not exist.
pub(super) fn paths(directory: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SpoolError::io("read", directory)(error)),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    paths.map_err(SpoolError::io("read", directory))
}

/// Makes a directory and its missing parents. Each is synced into its parent.
pub(super) fn ensure(directory: &Path, steps: &StepHook) -> Result<(), SpoolError> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = parent(directory);
    ensure(above, steps)?;
    let made = steps.before("open: make directory").and_then(|()| fs::create_dir(directory));
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        made => made.map_err(SpoolError::io("make the directory", directory)).and_then(|()| sync(above)),
    }
}

/// Syncs a directory, so that what was made, renamed and removed in it survives a power failure.
pub(super) fn sync(directory: &Path) -> Result<(), SpoolError> {
    Ok(sync_directory(directory)?)
}

/// Opens a file for writing; `empty` makes it, or removes what is in it.
pub(super) fn open_to_write(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new().write(true).create(empty).truncate(empty).custom_flags(NO_LINK).open(path)
}

/// Removes a file. It is no error if it does not exist.
pub(super) fn remove(path: &Path, step: &'static str, steps: &StepHook) -> Result<(), SpoolError> {
    match steps.before(step).and_then(|()| fs::remove_file(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SpoolError::io("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_spool_are_segments() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(segments(&folder.path().join("nowhere")).unwrap(), Vec::<u64>::new());
        let ours = [segment_path(folder.path(), 12), segment_path(folder.path(), 3)];
        let others = ["12.log", "00000000000000000012.txt", "+0000000000000000012.log", "99999999999999999999.log"];
        let max = segment_path(folder.path(), u64::MAX);
        for path in ours.into_iter().chain(others.map(|name| folder.path().join(name))).chain([max]) {
            fs::write(path, "").unwrap();
        }
        assert_eq!(segments(folder.path()).unwrap(), [3, 12]);
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), segment_path(folder.path(), 1));
        fs::write(&victim, "theirs").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert!(crate::fs::open_no_link(&link).is_err() && open_to_write(&link, true).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
    }
}
