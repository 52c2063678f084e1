//! `lists/`: every accepted list, as the signed message.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::CacheError;
use super::name::{SafeName, checked_component, decode_version, encode_version};
use super::volume::Volume;
use crate::fetch::Document;
use crate::imagelist::{ListVersion, MAXIMUM_BYTES};

/// A stored list that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredList {
    /// `hv:version` of the list; `None` if it was too long for a file name.
    pub version: Option<ListVersion>,
    /// The first 12 hexadecimal digits of the payload's digest.
    pub digest12: String,
    /// The path of the signed message.
    pub path: PathBuf,
    /// When it was stored.
    pub stored: Timestamp,
}

impl Volume {
    /// Stores the signed message of an accepted list. `digest` is the digest of the payload, at least 12 hexadecimal
    /// digits. Storing the same list again changes nothing.
    pub fn store_list(
        &self,
        namespace: &SafeName,
        name: &SafeName,
        version: &ListVersion,
        digest: &str,
        message: &[u8],
    ) -> Result<PathBuf, CacheError> {
        let path = self.list_path(namespace, name, version, digest)?;
        if !path.exists() {
            self.write_file(&path, message, 0o644)?;
        }
        Ok(path)
    }

    /// A stored list, as the signed message. `None` if it does not exist, or if it is larger than any list can be.
    pub fn read_list(
        &self,
        namespace: &SafeName,
        name: &SafeName,
        version: &ListVersion,
        digest: &str,
    ) -> Result<Option<Document>, CacheError> {
        let path = self.list_path(namespace, name, version, digest)?;
        // Opening a named pipe would block forever.
        if fs::metadata(&path).is_ok_and(|about| !about.is_file()) {
            return Ok(None);
        }
        match Document::at(path.clone()) {
            Ok(document) => Ok(Some(document).filter(|document| document.size() <= MAXIMUM_BYTES as u64)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("look at", &path)(error)),
        }
    }

    /// All stored lists of a subscription, the newest first.
    pub fn list_versions(&self, namespace: &SafeName, name: &SafeName) -> Result<Vec<StoredList>, CacheError> {
        let directory = self.list_directory(namespace, name);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(CacheError::io("read", &directory)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(CacheError::io("read", &directory))?.path();
            found.extend(stored(&path)?);
        }
        found.sort_by(|a, b| b.stored.cmp(&a.stored).then_with(|| a.path.cmp(&b.path)));
        Ok(found)
    }

    fn list_directory(&self, namespace: &SafeName, name: &SafeName) -> PathBuf {
        self.path("lists").join(namespace.as_str()).join(name.as_str())
    }

    fn list_path(
        &self,
        namespace: &SafeName,
        name: &SafeName,
        version: &ListVersion,
        digest: &str,
    ) -> Result<PathBuf, CacheError> {
        let digest = checked_component(digest)?.get(..12).unwrap_or(digest);
        Ok(self.list_directory(namespace, name).join(format!("{}-{digest}.smime", encode_version(version))))
    }
}

/// Parses the file name `<version>-<digest12>.smime`. Other files are ignored.
fn stored(path: &Path) -> Result<Option<StoredList>, CacheError> {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".smime"));
    let Some((version, digest12)) = name.and_then(|name| name.rsplit_once('-')) else { return Ok(None) };
    let about = fs::metadata(path).map_err(CacheError::io("look at", path))?;
    let modified = about.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    Ok(Some(StoredList {
        version: decode_version(version),
        digest12: digest12.to_owned(),
        path: path.to_owned(),
        stored: modified.unwrap_or(Timestamp::UNIX_EPOCH),
    }))
}
