//! Puts the images of an old cache on the volume.
//!
//! Only files in the given folders are looked at, not those in folders below. A file is read if it has the size of a
//! wanted image; then its digest decides, not its name. The next reconcile publishes it, after the list that wants it was
//! verified.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::error::ImportError;
use super::outcome::{Fate, Outcome};
use crate::cache::{Adopted, Adoption, CacheError, SafeName, Volume};
use crate::digest::Sha512Digest;

/// How long an image waits on the volume for the list that wants it.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The most files in a folder.
const FILES: usize = 100_000;

/// An image that the manifests want, as the old program knew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `dc:identifier`.
    pub identifier: String,
    /// `hv:version`.
    pub version: String,
    /// The digest of its bytes.
    pub digest: Sha512Digest,
    /// The number of its bytes; `None` if the old program did not store it as a number.
    pub size: Option<u64>,
}

/// Where images are taken from, and where they go.
#[derive(Debug)]
pub struct Seed<'a> {
    /// The volume, opened for writing.
    pub volume: &'a Volume,
    /// The namespace of the manifests.
    pub namespace: &'a SafeName,
    /// The wanted images.
    pub known: &'a [Known],
    /// The bytes that stay free on the volume. `None` means a twentieth of it, at most 64 MiB.
    pub min_free: Option<u64>,
}

/// The wanted digests, and which of them are not on the volume yet.
struct Search {
    wanted: BTreeSet<Sha512Digest>,
    missing: BTreeSet<Sha512Digest>,
    /// The wanted digests by their number of bytes; those of an unknown number are under `None`.
    by_size: BTreeMap<Option<u64>, Vec<Sha512Digest>>,
}

impl Search {
    /// Whether a file of this size can be an image that is missing.
    fn can_be_missing(&self, size: u64) -> bool {
        let digests = [Some(size), None].into_iter().filter_map(|size| self.by_size.get(&size)).flatten();
        digests.into_iter().any(|digest| self.missing.contains(digest))
    }
}

impl Seed<'_> {
    /// Takes in what the folders have. Returns the outcome of each wanted image, and of each file that was looked at and
    /// not taken.
    pub fn take(&self, folders: &[PathBuf], now: Timestamp) -> Result<Vec<Outcome>, ImportError> {
        let mut outcomes = Vec::new();
        let mut search = self.search();
        for folder in folders {
            for file in files(folder)? {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if let Some(fate) = self.offer(&file, &mut search, now) {
                    outcomes.push(Outcome::new(&folder.display().to_string(), name, fate));
                }
            }
        }
        outcomes.extend(self.known.iter().map(|known| {
            let name = format!("{} {}", known.identifier, known.version);
            let fate = if search.missing.contains(&known.digest) {
                Fate::NotNeeded("not in the old cache; it will be downloaded".to_owned())
            } else {
                Fate::Manifest("it is on the volume, and waits for its list".to_owned())
            };
            Outcome::new("image", name, fate)
        }));
        Ok(outcomes)
    }

    fn search(&self) -> Search {
        let wanted: BTreeSet<_> = self.known.iter().map(|known| known.digest).collect();
        let missing = wanted.iter().filter(|digest| !self.has(digest)).copied().collect();
        let mut by_size: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for known in self.known {
            by_size.entry(known.size).or_default().push(known.digest);
        }
        Search { wanted, missing, by_size }
    }

    /// Whether an earlier import, or a download, already brought it.
    fn has(&self, digest: &Sha512Digest) -> bool {
        matches!(self.volume.blob_for(self.namespace, digest), Ok(Some(_)))
    }

    /// Offers a file to the volume. `None` if there is nothing to say.
    fn offer(&self, file: &Path, search: &mut Search, now: Timestamp) -> Option<Fate> {
        let size = fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file)?.len();
        if !search.can_be_missing(size) {
            return None;
        }
        tracing::info!(path = %file.display(), size, "reads an image of the old cache");
        let (namespace, wanted, kept_for, min_free) = (self.namespace, &search.wanted, KEPT_FOR, self.min_free);
        match self.volume.adopt(file, &Adoption { namespace, wanted, kept_for, min_free }, now) {
            Ok(Adopted::Taken(blob)) => {
                search.missing.remove(blob.digest());
                None
            }
            Ok(Adopted::Unwanted(_)) => {
                Some(Fate::NotNeeded("its bytes are not those of a wanted image (another sha512)".to_owned()))
            }
            Err(error) => Some(Fate::ByHand(reason(&error))),
        }
    }
}

fn reason(error: &CacheError) -> String {
    format!("it was not taken: {error}")
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let unreadable = ImportError::unreadable(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(&unreadable)? {
        found.push(entry.map_err(&unreadable)?.path());
        if found.len() > FILES {
            let (path, most) = (folder.to_owned(), FILES as u64);
            return Err(ImportError::TooMuch { path, most, of: "files".to_owned() });
        }
    }
    found.sort();
    Ok(found)
}
