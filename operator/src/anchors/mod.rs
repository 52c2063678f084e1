//! The trust directory: the files around [`crate::trust`].
//!
//! IGTF layout: certificates as `<hash>.0` to `.9` or `<alias>.pem`, CRLs as `<hash>.r0` to `.r9`, signing policies as
//! `.signing_policy` and `.namespaces`. Names do not matter beyond their endings, save that a policy file belongs to the
//! certificates of its name; the same certificate under two names is one. Where there is a policy or an `.info` file,
//! the directory is in IGTF layout and every CA needs a policy. A certificate in a file of another name is told, and not
//! used. A plain bundle (one file of PEM certificates) works as
//! well. One bad file costs only itself (a bad policy file, its CA) and is reported.

mod assembly;
mod directory;
mod refresh;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

pub use assembly::{AnchorProblem, from_files};
use assembly::{Assembly, Kind};
pub use directory::TrustDirectory;
pub use refresh::{CrlRefresher, RefreshError, Refreshed};

use crate::trust::Anchors;

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 128 << 20;
/// The most files of other names that are looked at, and the largest of them, in bytes.
const MOST_OTHERS: usize = 1000;
const LARGEST_OTHER: u64 = 256 << 10;

/// What a trust directory looks like from outside: names, sizes, times, inodes. Equal as long as nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint(BTreeMap<OsString, (u64, Option<SystemTime>, u64)>);

/// Loads a trust directory or a plain bundle. One bad file costs only itself.
pub fn load(path: &Path) -> (Anchors, Vec<AnchorProblem>) {
    let mut assembly = Assembly::default();
    match files(path) {
        Ok(files) => {
            for (kind, file) in files {
                let limit = if kind == Kind::Other { LARGEST_OTHER } else { LARGEST_FILE };
                let bytes = read(&file, limit);
                assembly.add(kind, &file, bytes.as_deref());
            }
        }
        Err(error) => {
            let expected = "expected a trust directory or a bundle of certificates";
            assembly.report(path, format!("{expected}, found {error}; --trust says where it is"));
        }
    }
    assembly.finish()
}

/// Looks at a trust directory without reading its files, so that it is loaded again only when it changed.
pub fn fingerprint(path: &Path) -> Fingerprint {
    let seen = |(_, file): (Kind, PathBuf)| {
        let metadata = fs::metadata(&file).ok()?;
        Some((file.into_os_string(), (metadata.len(), metadata.modified().ok(), metadata.ino())))
    };
    Fingerprint(files(path).unwrap_or_default().into_iter().filter_map(seen).collect())
}

/// The files that matter: certificates first, since policies belong to them, then by name. A bundle is one file,
/// whatever its name.
fn files(path: &Path) -> io::Result<Vec<(Kind, PathBuf)>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![(Kind::Certificates, path.to_owned())]);
    }
    let (mut files, mut others) = (Vec::new(), 0);
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let kind = Kind::of(&file);
        // Of those that are not used, as many are looked at as a person would put there by mistake.
        others += usize::from(kind == Kind::Other);
        if !file.is_dir() && (kind != Kind::Other || others <= MOST_OTHERS) {
            files.push((kind, file));
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let length = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if length > limit {
        return Err(format!("expected at most {limit} bytes, found {length}"));
    }
    fs::read(file).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
