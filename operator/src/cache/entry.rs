//! Entries: the visible part of the cache, for users and clouds. An entry is a link to a blob under `endorsed/` or
//! `expired/`, with a record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::blob::VerifiedBlob;
use super::error::CacheError;
use super::file_scan::same_file;
use super::name::{ImageKey, SafeName, encode_version};
use super::record;
use super::version::{Entries, Entry};
use super::volume::Volume;
use crate::fs::{Durability, Stamp, parent, read_directory, read_own_directory, sync_directory};
use crate::imagelist::{ImageId, ListVersion, Sha512Digest};

/// `<name>.json` next to a link. It holds what the name cannot hold, and it proves that the operator made the link.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryRecord {
    version: ListVersion,
    sha512: Sha512Digest,
    archived_time: Option<Timestamp>,
}

/// The directory of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shelf {
    Endorsed,
    Expired,
}

impl Shelf {
    pub(super) const fn directory(self) -> &'static str {
        match self {
            Self::Endorsed => "endorsed",
            Self::Expired => "expired",
        }
    }
}

impl Volume {
    /// Publishes a verified blob as `endorsed/<namespace>/<identifier>/<version>-<digest12>.<format>` and returns the
    /// path. It is a hard link, or a relative symbolic link if hard links are not possible. The same entry is then
    /// removed from the archive, so that a version is in one place only. A second call changes nothing.
    ///
    /// Fails with [`CacheError::Foreign`] if a file that the operator did not make has that name.
    pub fn publish(&self, key: &ImageKey, version: &ListVersion, blob: &VerifiedBlob) -> Result<PathBuf, CacheError> {
        let name = format!("{}-{}.{}", encode_version(version), blob.digest().short(), blob.format().extension());
        let path = self.shelf_of(Shelf::Endorsed, key).join(name);
        let record = EntryRecord { version: version.clone(), sha512: *blob.digest(), archived_time: None };
        self.place(&path, &record, blob.path())?;
        self.remove_from(&self.shelf_of(Shelf::Expired, key).join(path.file_name().unwrap_or_default()))?;
        Ok(path)
    }

    /// Moves an endorsed entry to the archive. It is first added there and then removed here, so that it is always in
    /// at least one of the two. A second call changes nothing.
    pub fn archive(&self, key: &ImageKey, entry: &Entry, now: Timestamp) -> Result<Entry, CacheError> {
        let name = entry.path.file_name().unwrap_or_default();
        let [from, path] = [Shelf::Endorsed, Shelf::Expired].map(|shelf| self.shelf_of(shelf, key).join(name));
        self.writable(&path)?;
        let archived_time = match record::read::<EntryRecord>(&record_of(&path)) {
            Ok(Some(there)) => there.archived_time.or(Some(now)),
            Ok(None) | Err(CacheError::StateCorrupt { .. }) => Some(now),
            Err(error) => return Err(error),
        };
        let record = EntryRecord { version: entry.version.clone(), sha512: entry.digest, archived_time };
        self.place(&path, &record, &self.blob_path(&entry.digest))?;
        if self.blob_is_behind(&from, &entry.digest) {
            self.step("archive: remove link");
            self.remove_file(&from)?;
        }
        self.step("archive: remove record");
        self.remove_file(&record_of(&from))?;
        if parent(&from).is_dir() {
            sync_directory(parent(&from))?;
        }
        Ok(Entry { path, archived_time, ..entry.clone() })
    }

    /// Removes an archived entry. Its bytes are removed by the next garbage collection, if nothing else refers to them.
    pub fn remove_archived(&self, key: &ImageKey, entry: &Entry) -> Result<(), CacheError> {
        let path = self.shelf_of(Shelf::Expired, key).join(entry.path.file_name().unwrap_or_default());
        self.writable(&path)?;
        if !self.remove_from(&path)? && fs::symlink_metadata(&path).is_ok() {
            return Err(CacheError::Foreign { path });
        }
        Ok(())
    }

    /// The versions of one image.
    pub fn entries(&self, key: &ImageKey) -> Result<Entries, CacheError> {
        Ok(Entries {
            endorsed: self.read_shelf(&self.shelf_of(Shelf::Endorsed, key))?,
            expired: self.read_shelf(&self.shelf_of(Shelf::Expired, key))?,
        })
    }

    /// The versions of all images of a namespace.
    pub fn index(&self, namespace: &SafeName) -> Result<BTreeMap<ImageId, Entries>, CacheError> {
        let mut index: BTreeMap<ImageId, Entries> = BTreeMap::new();
        for shelf in [Shelf::Endorsed, Shelf::Expired] {
            for directory in read_directory(&self.path(shelf.directory()).join(namespace.as_str()))? {
                let name = directory.file_name().and_then(|name| name.to_str());
                let Some(Ok(identifier)) = name.map(str::parse::<ImageId>) else { continue };
                let found = self.read_shelf(&directory)?;
                if found.is_empty() {
                    continue;
                }
                let entries = index.entry(identifier).or_default();
                match shelf {
                    Shelf::Endorsed => entries.endorsed = found,
                    Shelf::Expired => entries.expired = found,
                }
            }
        }
        Ok(index)
    }

    /// The namespaces that have entries.
    pub fn namespaces(&self) -> Result<Vec<SafeName>, CacheError> {
        let mut found = Vec::new();
        for shelf in [Shelf::Endorsed, Shelf::Expired] {
            let directories = read_own_directory(&self.path(shelf.directory()))?;
            found.extend(directories.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<SafeName>().ok()));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The digests in the entries of a directory, whether or not their links are valid.
    pub(super) fn digests_on(&self, kind: Shelf) -> Result<BTreeSet<Sha512Digest>, CacheError> {
        let mut found = BTreeSet::new();
        for image in self.image_directories(kind)? {
            found.extend(named_digests(&image)?);
        }
        Ok(found)
    }

    /// The links of entries to a blob. Links without a record of the operator are not included.
    pub(super) fn links_to(&self, digest: &Sha512Digest) -> Result<Vec<PathBuf>, CacheError> {
        let mut found = Vec::new();
        for kind in [Shelf::Endorsed, Shelf::Expired] {
            for image in self.image_directories(kind)? {
                found.extend(self.read_shelf(&image)?.into_iter().filter(|entry| entry.digest == *digest));
            }
        }
        Ok(found.into_iter().map(|entry| entry.path).collect())
    }

    /// The records of entries without a link.
    pub(super) fn orphaned_records(&self) -> Result<Vec<PathBuf>, CacheError> {
        let mut found = Vec::new();
        for kind in [Shelf::Endorsed, Shelf::Expired] {
            for image in self.image_directories(kind)? {
                let files = read_directory(&image)?;
                let is_record = |path: &&PathBuf| path.extension().is_some_and(|name| name == "json");
                let is_alone = |path: &&PathBuf| files.binary_search(&path.with_extension("")).is_err();
                found.extend(files.iter().filter(is_record).filter(is_alone).cloned());
            }
        }
        let is_ours = |path: &PathBuf| matches!(record::read::<EntryRecord>(path), Ok(Some(_)));
        found.retain(|path| fs::symlink_metadata(path.with_extension("")).is_err() && is_ours(path));
        Ok(found)
    }

    /// The directory of each image in `endorsed/` or `expired/`, in every namespace.
    fn image_directories(&self, kind: Shelf) -> Result<Vec<PathBuf>, CacheError> {
        let mut found = Vec::new();
        for namespace in read_own_directory(&self.path(kind.directory()))? {
            found.extend(read_directory(&namespace)?);
        }
        Ok(found)
    }

    pub(super) fn shelf_of(&self, kind: Shelf, key: &ImageKey) -> PathBuf {
        self.path(kind.directory()).join(key.namespace.as_str()).join(key.identifier.as_str())
    }

    /// The entries in a directory: each record with its link. Everything else is ignored.
    fn read_shelf(&self, directory: &Path) -> Result<Vec<Entry>, CacheError> {
        // A symbolic link could lead out of the volume.
        let stamp = match fs::symlink_metadata(directory) {
            Ok(about) if about.is_dir() => Stamp::of(&about),
            Ok(_) => return Ok(Vec::new()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(CacheError::io("read", directory)(error)),
        };
        let mut found = match self.shelves.get(directory, stamp) {
            Some(known) => known,
            None => self.read_records(directory, stamp)?,
        };
        found.retain(|entry| self.blob_is_behind(&entry.path, &entry.digest));
        Ok(found)
    }

    fn read_records(&self, directory: &Path, stamp: Stamp) -> Result<Vec<Entry>, CacheError> {
        let mut found = Vec::new();
        for path in read_directory(directory)? {
            if path.extension().is_some_and(|extension| extension == "json") || path.is_dir() {
                continue;
            }
            let Some(record) = record::read_beside::<EntryRecord>(&record_of(&path))? else { continue };
            let EntryRecord { version, sha512, archived_time } = record;
            found.push(Entry { version, digest: sha512, path, archived_time });
        }
        found.sort_by(|a, b| a.archived_time.cmp(&b.archived_time).then_with(|| a.path.cmp(&b.path)));
        self.shelves.set(directory, stamp, &found);
        Ok(found)
    }

    /// Whether a link leads to the blob's file. After a blob was quarantined and fetched again, an old link leads to
    /// the old file, so the entry has to be published again.
    fn blob_is_behind(&self, link: &Path, digest: &Sha512Digest) -> bool {
        same_file(link, &self.blob_path(digest))
    }

    /// Writes a record and then a link. The record is first, because a link without a record does not count as the
    /// operator's.
    fn place(&self, path: &Path, record: &EntryRecord, blob: &Path) -> Result<(), CacheError> {
        self.prepare(path)?;
        let beside = record_of(path);
        let known = match record::read::<EntryRecord>(&beside) {
            Ok(known) => known,
            Err(CacheError::StateCorrupt { .. }) if same_file(path, blob) => None,
            Err(error) => return Err(error),
        };
        let linked = same_file(path, blob);
        if fs::symlink_metadata(path).is_ok() && !linked && known.is_none() {
            return Err(CacheError::Foreign { path: path.to_owned() });
        }
        if known.as_ref() != Some(record) {
            self.step("entry: record");
            // The directory is synced once, after the link too. A link to the blob without a record gets one again.
            let durability = if linked { Durability::Durable } else { Durability::Whole };
            record::write_as(self, &beside, record, (0o644, durability))?;
        }
        if !linked {
            self.link(blob, path)?;
        }
        Ok(())
    }

    /// Makes a link under a temporary name and renames it over an existing one. The temporary name is in `scratch/`, or
    /// next to the link if `scratch/` is on another disk.
    fn link(&self, blob: &Path, path: &Path) -> Result<(), CacheError> {
        let places = [self.ready_scratch()?, parent(path).to_owned()];
        let target = self.relative_to_shelf(blob);
        let hard = places.iter().map(|place| self.link_by(place, path, &|name| fs::hard_link(blob, name)));
        let symbolic = places.iter().map(|place| self.link_by(place, path, &|name| symlink(&target, name)));
        let mut made = Ok(());
        for linked in hard.chain(symbolic) {
            made = linked;
            match &made {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::NotFound && !blob.exists() => {
                    return Err(CacheError::Gone(blob.to_owned()));
                }
                Err(_) => {}
            }
        }
        made.map_err(CacheError::io("link", path))?;
        self.step("entry: sync directory");
        Ok(sync_directory(parent(path))?)
    }

    fn link_by(&self, place: &Path, path: &Path, link: &dyn Fn(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
        self.step("entry: link");
        let made = crate::fs::make_in(place, link)?.into_temp_path();
        self.step("entry: rename");
        made.persist(path).map_err(|error| error.error)
    }

    /// The path of a blob relative to an entry's directory, which is three levels below the root.
    fn relative_to_shelf(&self, blob: &Path) -> PathBuf {
        Path::new("../../..").join(blob.strip_prefix(self.root()).unwrap_or(blob))
    }

    /// Removes a link and its record. Returns `false` and removes nothing if there is no record, because then the
    /// operator did not make the link.
    fn remove_from(&self, path: &Path) -> Result<bool, CacheError> {
        if record::read_beside::<EntryRecord>(&record_of(path))?.is_none() {
            return Ok(false);
        }
        self.step("remove: link");
        self.remove_file(path)?;
        self.step("remove: record");
        self.remove_file(&record_of(path))?;
        sync_directory(parent(path))?;
        Ok(true)
    }
}

/// `<name>.json` next to a link.
fn record_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".json");
    path.with_file_name(name)
}

/// The digests in the records and symbolic links of a directory, even if the record or the link is missing. (A hard
/// link increases the link count of the blob.)
fn named_digests(directory: &Path) -> Result<Vec<Sha512Digest>, CacheError> {
    let mut found = Vec::new();
    for path in read_directory(directory)? {
        let target = fs::read_link(&path).ok();
        found.extend(target.and_then(|target| target.file_name()?.to_str()?.parse::<Sha512Digest>().ok()));
        if path.extension().is_some_and(|extension| extension == "json") {
            found.extend(record::read_beside::<EntryRecord>(&path)?.map(|record| record.sha512));
        }
    }
    Ok(found)
}
