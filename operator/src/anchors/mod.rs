//! The trust directory: reads the files for [`crate::trust`].
//!
//! IGTF layout: certificates are `<hash>.0` to `.9` or `<alias>.pem`, CRLs are `<hash>.r0` to `.r9`, signing policies
//! are `.signing_policy` and `.namespaces`. Apart from the extension, the name of a file does not matter, except that a
//! policy file belongs to the certificates of the same name. The same certificate under two names counts once. If there
//! is a policy or an `.info` file, the directory is in IGTF layout and every CA needs a policy. A certificate in a file
//! with another extension is reported, and not used. A plain bundle (one file of PEM certificates) is also accepted. A
//! bad file is reported and does not affect other files; only a bad policy file makes its CA unusable.

mod assembly;
mod refresh;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use jiff::Timestamp;

pub use assembly::{AnchorProblem, from_files};
use assembly::{Assembly, Kind};
pub use refresh::{CrlRefresher, RefreshError, Refreshed};

use crate::fs::Stamp;
use crate::trust::{Anchors, DistinguishedName};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 128 << 20;
/// The most files with other names that are checked for certificates, and their largest size in bytes.
const MOST_OTHERS: usize = 1000;
const LARGEST_OTHER: u64 = 256 << 10;

/// The state of a trust directory without its content: the names and stamps of its files. It is equal as long as nothing
/// changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint(BTreeMap<OsString, Stamp>);

/// Loads a trust directory or a plain bundle. Returns the anchors, and the files that cannot be used.
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

/// The state of a trust directory, without reading the content of its files. It shows whether the directory must be
/// loaded again.
pub fn fingerprint(path: &Path) -> Fingerprint {
    let seen = |(_, file): (Kind, PathBuf)| {
        let stamp = Stamp::of(&fs::metadata(&file).ok()?);
        Some((file.into_os_string(), stamp))
    };
    Fingerprint(files(path).unwrap_or_default().into_iter().filter_map(seen).collect())
}

/// The files of a trust directory: certificates first, because policies belong to them, then by name. A bundle is a
/// single file with any name.
fn files(path: &Path) -> io::Result<Vec<(Kind, PathBuf)>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![(Kind::Certificates, path.to_owned())]);
    }
    let (mut files, mut others) = (Vec::new(), 0);
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let kind = Kind::of(&file);
        // Files with other names are only checked for misplaced certificates, so their number is limited.
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

/// A trust directory and the anchors that were last loaded from it.
#[derive(Debug)]
pub struct TrustDirectory {
    path: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    seen: Fingerprint,
    anchors: Arc<Anchors>,
    /// The problems that were already reported.
    problems: Vec<AnchorProblem>,
}

impl TrustDirectory {
    /// Loads a trust directory. Returns the files that cannot be used; all others are in force.
    pub fn open(path: &Path) -> (Self, Vec<AnchorProblem>) {
        let seen = fingerprint(path);
        let (anchors, problems) = load(path);
        let loaded = Loaded { seen, anchors: Arc::new(anchors), problems: problems.clone() };
        (Self { path: path.to_owned(), loaded: RwLock::new(loaded) }, problems)
    }

    /// The anchors in force.
    pub fn current(&self) -> Arc<Anchors> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).anchors.clone()
    }

    /// When the CRL of each CA expires; see [`Anchors::crl_ends`].
    pub fn crl_ends(&self, at: Timestamp) -> Vec<(DistinguishedName, Timestamp)> {
        self.current().crl_ends(at)
    }

    /// Loads the directory again if it has changed. Returns the new problems, or `None` if it has not changed.
    pub fn refresh(&self) -> Option<Vec<AnchorProblem>> {
        // Taken before the files are read, so that a change during reading is detected at the next call.
        let seen = fingerprint(&self.path);
        if self.loaded.read().unwrap_or_else(PoisonError::into_inner).seen == seen {
            return None;
        }
        let (anchors, problems) = load(&self.path);
        let loaded = Loaded { seen, anchors: Arc::new(anchors), problems: problems.clone() };
        let mut state = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, loaded).problems;
        Some(problems.into_iter().filter(|problem| !before.contains(problem)).collect())
    }
}

#[cfg(test)]
mod tests;
