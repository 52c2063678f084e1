//! A copy of all stored images in one file, so that the next run does not parse the YAML of those that did not change.
//!
//! The YAML files are what counts. A copy is used only while its file has the same inode, size and times, and a copy that
//! is missing or cannot be read costs time and nothing else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::api::CachedImage;
use crate::fs::{FileError, write_atomic};

/// The first line. Another version of this program may understand other fields.
const HEAD: &str = concat!("copies of stored images, by vmcatcher-operator ", env!("CARGO_PKG_VERSION"), ", 1");
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// A file that changed so shortly before the copy was made may change again without another time.
const UNSURE: i128 = 100_000_000;

/// What a file has as long as it does not change: device, inode, size, and the times of its bytes and of its inode in
/// nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

/// The copies of an earlier run.
#[derive(Default)]
pub(super) struct Copies {
    text: String,
    /// The place of each image's JSON in the text, by the path of its file below the folder.
    places: HashMap<PathBuf, (Stamp, Range<usize>)>,
    /// The number of images that were taken from here.
    used: usize,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = fs::symlink_metadata(path).ok()?;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: nanoseconds(about.mtime(), about.mtime_nsec()),
            changed: nanoseconds(about.ctime(), about.ctime_nsec()),
        })
    }

    /// Numbers, and a blank.
    fn read(text: &str) -> Option<(Self, &str)> {
        let mut parts = text.splitn(6, ' ');
        let mut next = || parts.next();
        let (device, inode, size) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let (modified, changed) = (next()?.parse().ok()?, next()?.parse().ok()?);
        Some((Self { device, inode, size, modified, changed }, next()?))
    }
}

impl Copies {
    /// The copies in a folder of stored objects; none if they cannot be read.
    pub(super) fn read(resources: &Path) -> Self {
        let path = path_of(resources);
        let fits = fs::symlink_metadata(&path).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
        let text = if fits { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        let places = places(&text).unwrap_or_default();
        Self { text, places, used: 0 }
    }

    /// The image of a file, if the file has not changed.
    pub(super) fn image(&mut self, resources: &Path, path: &Path) -> Option<CachedImage> {
        let (stamp, place) = self.places.get(path.strip_prefix(resources).ok()?)?;
        if Stamp::of(path)? != *stamp {
            return None;
        }
        let image = serde_json::from_str(&self.text[place.clone()]).ok()?;
        self.used += 1;
        Some(image)
    }

    /// Whether they are of exactly so many images, and all were taken.
    pub(super) fn are_complete(&self, images: usize) -> bool {
        self.used == images && self.places.len() == images
    }
}

/// The places of the JSON in a text: a line with the stamp and the path, then a line of JSON. `None` if it is not whole.
fn places(text: &str) -> Option<HashMap<PathBuf, (Stamp, Range<usize>)>> {
    let mut rest = text.strip_prefix(HEAD)?.strip_prefix('\n')?.strip_suffix("end\n")?;
    let mut at = HEAD.len() + 1;
    let mut found = HashMap::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_once('\n')?;
        let (json, next) = after.split_once('\n')?;
        let begin = at + head.len() + 1;
        let (stamp, path) = Stamp::read(head)?;
        found.insert(PathBuf::from(path), (stamp, begin..begin + json.len()));
        at = begin + json.len() + 1;
        rest = next;
    }
    Some(found)
}

/// Makes the copies of these files anew. Images that did not change are copied from the copies before; `read` reads the
/// others.
pub(super) fn write(
    resources: &Path,
    files: &[PathBuf],
    read: impl Fn(&Path) -> Result<CachedImage, String>,
    now: Timestamp,
) -> Result<(), FileError> {
    let mut before = Copies::read(resources);
    let mut text = format!("{HEAD}\n");
    for path in files {
        let Some(stamp) = Stamp::of(path) else { continue };
        if now.as_nanosecond() - stamp.modified.max(stamp.changed) < UNSURE {
            continue;
        }
        let image = before.image(resources, path).or_else(|| read(path).ok());
        let encoded = image.and_then(|image| serde_json::to_string(&image).ok());
        let relative = path.strip_prefix(resources).ok().and_then(Path::to_str);
        if let (Some(encoded), Some(relative)) = (encoded, relative.filter(|path| !path.contains('\n'))) {
            let Stamp { device, inode, size, modified, changed } = stamp;
            let _never = writeln!(text, "{device} {inode} {size} {modified} {changed} {relative}\n{encoded}");
        }
    }
    text.push_str("end\n");
    write_atomic(&path_of(resources), text.as_bytes(), 0o644)
}

/// Beside the folder, so that the folder has only what people read.
fn path_of(resources: &Path) -> PathBuf {
    resources.with_file_name("resources.copies")
}
