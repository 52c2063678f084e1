//! The length of a file that the operator made.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::CacheError;

/// The length of a regular file; `None` if there is none. Anything else with that name is an error.
pub(super) fn file_size(path: &Path) -> Result<Option<u64>, CacheError> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => Ok(Some(about.len())),
        Ok(_) => Err(CacheError::Foreign { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CacheError::io("look at", path)(error)),
    }
}
