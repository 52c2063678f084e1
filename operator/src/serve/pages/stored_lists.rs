//! Reads the accepted lists of a subscription from the volume, for their history. What is read is bounded.

use std::fs;

use super::history::{Read, Summary};
use crate::api::{ImageListSubscription, ObjectKey};
use crate::cache::{CacheError, StoredList, Volume};
use crate::imagelist::ListFormat;
use crate::size::Size;
use crate::text::with_causes;
use crate::trust::read_unverified;

/// The most lists that are read, the newest first.
const MOST: usize = 10;
/// The largest list that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;
/// The most bytes that are read for one page.
const TOGETHER: u64 = 16 * 1024 * 1024;

/// The newest stored lists, and how many more there are.
pub(super) fn stored_lists(
    volume: &Volume,
    key: &ObjectKey,
    subscription: &ImageListSubscription,
) -> Result<(Vec<Read>, usize), CacheError> {
    let (Ok(namespace), Ok(name)) = (key.namespace.parse(), key.name.parse()) else { return Ok((Vec::new(), 0)) };
    let stored = volume.list_versions(&namespace, &name)?;
    let format = super::site::list_format(subscription);
    let mut together = 0;
    let read = stored.iter().take(MOST).map(|one| read(one, &format, &mut together)).collect();
    Ok((read, stored.len().saturating_sub(MOST)))
}

fn read(stored: &StoredList, format: &ListFormat, together: &mut u64) -> Read {
    let version = stored.version.as_ref().map_or_else(|| stored.digest12.clone(), ToString::to_string);
    Read { version, stored: stored.stored, summary: summary(stored, format, together) }
}

fn summary(stored: &StoredList, format: &ListFormat, together: &mut u64) -> Result<Summary, String> {
    let failed = |error: std::io::Error| format!("the list cannot be read: {error}");
    let about = fs::metadata(&stored.path).map_err(failed)?;
    *together = together.saturating_add(about.len());
    if !about.is_file() || about.len() > LARGEST || *together > TOGETHER {
        let (size, path) = (Size(about.len()), stored.path.display());
        return Err(format!("{size} are too many for this page; `list show {path}` shows the list"));
    }
    let bytes = fs::read(&stored.path).map_err(failed)?;
    read_unverified(&bytes, format).map(Summary::of).map_err(|refusal| with_causes(&refusal))
}
