//! What shows that a file or directory was changed or replaced, without reading it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

/// The attributes that a file or directory keeps as long as it is not changed or replaced: its device and inode, its
/// size in bytes, and the times of its content and of its inode in nanoseconds since 1970.
///
/// A file system may give two changes the same time, so a stamp is proof only if it [is older](Self::is_older) than the
/// coarsest times of file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

impl Stamp {
    /// The stamp of a file with these attributes.
    pub fn of(about: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: nanoseconds(about.mtime(), about.mtime_nsec()),
            changed: nanoseconds(about.ctime(), about.ctime_nsec()),
        }
    }

    /// The stamp of what is at a path, without following a link. `None` if nothing is there.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(about) => Ok(Some(Self::of(&about))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same by a path below an open directory. That is faster for many paths, because the directory is found once.
    pub fn below(directory: &File, path: &Path) -> io::Result<Option<Self>> {
        match rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => Ok(Some(Self::of_stat(&about))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn of_stat(about: &Stat) -> Self {
        let nanoseconds = |seconds, rest| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: about.st_dev,
            inode: about.st_ino,
            size: about.st_size.unsigned_abs(),
            modified: nanoseconds(about.st_mtime, about.st_mtime_nsec),
            changed: nanoseconds(about.st_ctime, about.st_ctime_nsec),
        }
    }

    /// Whether the last change was at least this long before `now`.
    pub fn is_older(&self, than: SignedDuration, now: Timestamp) -> bool {
        now.as_nanosecond() - self.modified.max(self.changed) >= than.as_nanos()
    }

    /// All of it as bytes, for a digest. Not for storage: the order of the bytes is the machine's.
    pub fn bytes(&self) -> [u8; 56] {
        let Self { device, inode, size, modified, changed } = self;
        let mut bytes = [0; 56];
        for (number, place) in [device, inode, size].into_iter().zip(bytes.chunks_exact_mut(8)) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        for (time, place) in [modified, changed].into_iter().zip(bytes[24..].chunks_exact_mut(16)) {
            place.copy_from_slice(&time.to_ne_bytes());
        }
        bytes
    }

    /// Five numbers with blanks between them; [`Self::read`] reads them.
    pub fn written(&self) -> String {
        let Self { device, inode, size, modified, changed } = self;
        format!("{device} {inode} {size} {modified} {changed}")
    }

    /// The stamp at the begin of a text, and what is after the blank that follows it.
    pub fn read(text: &str) -> Option<(Self, &str)> {
        let mut parts = text.splitn(6, ' ');
        let mut next = || parts.next();
        let (device, inode, size) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let (modified, changed) = (next()?.parse().ok()?, next()?.parse().ok()?);
        Some((Self { device, inode, size, modified, changed }, next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_a_replacement_and_a_removal_show() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(Stamp::at(&path).unwrap(), None);
        assert_eq!(Stamp::at(&path.join("below")).unwrap(), None);
        fs::write(&path, "one").unwrap();
        let first = Stamp::at(&path).unwrap().unwrap();
        assert_eq!(Stamp::at(&path).unwrap(), Some(first));
        fs::write(directory.path().join("other"), "one").unwrap();
        fs::rename(directory.path().join("other"), &path).unwrap();
        let second = Stamp::at(&path).unwrap().unwrap();
        assert_ne!(first, second);
        fs::write(&path, "three").unwrap();
        assert_ne!(Stamp::at(&path).unwrap(), Some(second));
    }

    #[test]
    fn it_is_the_same_below_an_open_directory() {
        let directory = tempfile::tempdir().unwrap();
        let open = File::open(directory.path()).unwrap();
        fs::write(directory.path().join("file"), "one").unwrap();
        std::os::unix::fs::symlink("file", directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nothing", directory.path().join("broken")).unwrap();
        for name in ["file", "link", "broken", "missing", "file/below", "."] {
            let path = directory.path().join(name);
            assert_eq!(Stamp::below(&open, Path::new(name)).unwrap(), Stamp::at(&path).unwrap(), "{name}");
        }
        assert!(Stamp::below(&open, Path::new(&"x".repeat(300))).is_err());
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let stamp = Stamp::at(directory.path()).unwrap().unwrap();
        assert_eq!(Stamp::read(&format!("{} the rest", stamp.written())), Some((stamp, "the rest")));
        assert_ne!(stamp.bytes(), Stamp { changed: stamp.changed + 1, ..stamp }.bytes());
        assert_ne!(stamp.bytes(), Stamp { inode: stamp.inode + 1, ..stamp }.bytes());
        assert_eq!(Stamp::read(&stamp.written()), None);
        assert_eq!(Stamp::read("1 2 3 four 5 rest"), None);
    }

    #[test]
    fn a_new_change_is_not_old() {
        let directory = tempfile::tempdir().unwrap();
        let stamp = Stamp::at(directory.path()).unwrap().unwrap();
        let second = SignedDuration::from_secs(1);
        let (now, changed) = (Timestamp::now(), stamp.modified.max(stamp.changed));
        assert!(stamp.is_older(second, now + second * 2));
        assert!(!stamp.is_older(second, Timestamp::from_nanosecond(changed).unwrap()));
        assert!(!stamp.is_older(second, now - second * 60), "a change in the future");
    }
}
