//! The handlers of a directory, by the rule of run-parts(8).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The most entries of a directory.
const MOST_ENTRIES: usize = 1000;

/// What a directory has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The programs that are run, in the byte order of their names.
    pub handlers: Vec<PathBuf>,
    /// The names that are skipped, and why.
    pub skipped: BTreeMap<OsString, &'static str>,
}

/// Lists a directory. An error also is that it has more than 1,000 entries.
pub(super) fn list(directory: &Path) -> io::Result<Listing> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name());
        if names.len() > MOST_ENTRIES {
            return Err(io::Error::other(format!("expected at most {MOST_ENTRIES} entries, found more")));
        }
    }
    names.sort();
    let mut listing = Listing::default();
    for name in names {
        let path = directory.join(&name);
        match unfit(&name, &path) {
            None => listing.handlers.push(path),
            Some(why) => drop(listing.skipped.insert(name, why)),
        }
    }
    Ok(listing)
}

/// Why an entry is not a handler; `None` if it is one. Symbolic links are followed.
fn unfit(name: &OsStr, path: &Path) -> Option<&'static str> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.as_bytes().iter().all(is_allowed) {
        return Some("its name has characters other than a-z, A-Z, 0-9, _ and -");
    }
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it is a link to nothing"),
        Err(_) => Some("it cannot be examined"),
        Ok(file) if !file.is_file() => Some("it is not a regular file"),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => Some("it is not executable"),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn add(directory: &Path, name: impl AsRef<OsStr>, mode: u32) {
        let path = directory.join(name.as_ref());
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn handlers_are_in_byte_order_and_all_others_have_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        for good in ["10-first", "9-second", "B", "_x", "a"] {
            add(directory, good, 0o755);
        }
        for bad in ["a.sh", "a~", ".hidden", "a b", "é", "a.dpkg-new"] {
            add(directory, bad, 0o755);
        }
        add(directory, OsStr::from_bytes(b"\xff"), 0o755);
        add(directory, "text", 0o644);
        fs::create_dir(directory.join("folder")).unwrap();
        symlink(directory.join("a"), directory.join("link")).unwrap();
        symlink("/nothing/here", directory.join("nowhere")).unwrap();
        symlink(directory, directory.join("up")).unwrap();
        let listing = list(directory).unwrap();
        let names: Vec<_> = listing.handlers.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["10-first", "9-second", "B", "_x", "a", "link"]);
        let why = |name: &str| listing.skipped[OsStr::new(name)];
        assert_eq!(why("text"), "it is not executable");
        assert_eq!([why("folder"), why("up")], ["it is not a regular file"; 2]);
        assert_eq!(why("nowhere"), "it is a link to nothing");
        assert!(why("a.sh").starts_with("its name has"));
        assert_eq!(listing.skipped.len(), 7 + 1 + 2 + 1);
    }

    #[test]
    fn a_directory_that_is_missing_or_too_large_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(list(folder.path()).unwrap(), Listing::default());
        for number in 0..=MOST_ENTRIES {
            add(folder.path(), number.to_string(), 0o755);
        }
        assert!(list(folder.path()).unwrap_err().to_string().contains("at most 1000"));
    }
}
