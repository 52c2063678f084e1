//! A copy of all stored images in one file, so that the next run does not parse the YAML of those that did not change.
//!
//! The YAML files are what counts. A copy is used only while its file has the same inode, size and times, and a copy that
//! is missing or cannot be read costs time and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::api::{CachedImage, ObjectKey};
use crate::fs::{FileError, Stamp, write_atomic};

/// The first line. Another version of this program may understand other fields.
const HEAD: &str = concat!("copies of stored images, by vmcatcher-operator ", env!("CARGO_PKG_VERSION"), ", 2");
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// A file that changed so shortly before the copy was made may change again without another time.
const UNSURE: SignedDuration = SignedDuration::from_millis(100);
/// Where an image has no mark.
const NO_MARK: &str = "-";

/// The copies of an earlier run.
#[derive(Default)]
pub(super) struct Copies {
    text: String,
    /// Each copy, by the path of its file below the folder.
    places: HashMap<String, Place>,
}

/// Where a copy is in the text.
struct Place {
    stamp: Stamp,
    mark: Range<usize>,
    json: Range<usize>,
}

/// Marks of images, in words without blanks: what a run may rely on as long as the stored object does not change.
pub type Marks = BTreeMap<ObjectKey, String>;

/// A copied image, with its mark.
pub(super) type Copy<'a> = (CachedImage, Option<&'a str>);

impl Copies {
    /// The copies in a folder of stored objects; none if they cannot be read.
    pub(super) fn read(resources: &Path) -> Self {
        let path = path_of(resources);
        let fits = fs::symlink_metadata(&path).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
        let text = if fits { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        let places = places(&text).unwrap_or_default();
        Self { text, places }
    }

    /// The image of a file, if the file has not changed.
    pub(super) fn image(&self, resources: &Path, path: &Path) -> Option<Copy<'_>> {
        let place = self.place(resources, path, &Stamp::at(path).ok()??)?;
        let mark = Some(&self.text[place.mark.clone()]).filter(|mark| *mark != NO_MARK);
        Some((serde_json::from_str(self.json(place)).ok()?, mark))
    }

    /// The number of copies.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    fn place(&self, resources: &Path, path: &Path, stamp: &Stamp) -> Option<&Place> {
        self.places.get(below(resources, path)?).filter(|place| place.stamp == *stamp)
    }

    fn json(&self, place: &Place) -> &str {
        &self.text[place.json.clone()]
    }
}

/// The places in a text: a line with the stamp, the mark and the path, then a line of JSON. `None` if it is not whole.
fn places(text: &str) -> Option<HashMap<String, Place>> {
    let mut rest = text.strip_prefix(HEAD)?.strip_prefix('\n')?.strip_suffix("end\n")?;
    let mut at = HEAD.len() + 1;
    let mut found = HashMap::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_once('\n')?;
        let (json, next) = after.split_once('\n')?;
        let (stamp, named) = Stamp::read(head)?;
        let (mark, path) = named.split_once(' ')?;
        let (mark_at, json_at) = (at + head.len() - named.len(), at + head.len() + 1);
        let place = Place { stamp, mark: mark_at..mark_at + mark.len(), json: json_at..json_at + json.len() };
        found.insert(path.to_owned(), place);
        at = json_at + json.len() + 1;
        rest = next;
    }
    Some(found)
}

/// Makes the copies of these files anew. Images that did not change are copied from the copies before; `read` reads the
/// others. A mark is of the object that was read when the folder was `opened`, so it is copied only if the file has not
/// changed since.
pub(super) fn write(
    resources: &Path,
    files: &[PathBuf],
    read: impl Fn(&Path) -> Result<CachedImage, String>,
    (marks, opened): (&Marks, Timestamp),
    now: Timestamp,
) -> Result<(), FileError> {
    let before = Copies::read(resources);
    let mut text = format!("{HEAD}\n");
    for path in files {
        let Some(stamp) = Stamp::at(path).ok().flatten().filter(|stamp| stamp.is_older(UNSURE, now)) else { continue };
        let known = before.place(resources, path, &stamp).map(|place| before.json(place).to_owned());
        let encoded = known.or_else(|| serde_json::to_string(&read(path).ok()?).ok());
        if let (Some(encoded), Some(relative)) = (encoded, below(resources, path).filter(|path| !path.contains('\n'))) {
            let mark = key_of(path).and_then(|key| marks.get(&key));
            let mark = mark.filter(|_| stamp.is_older(UNSURE, opened)).map_or(NO_MARK, String::as_str);
            let _never = writeln!(text, "{} {mark} {relative}\n{encoded}", stamp.written());
        }
    }
    text.push_str("end\n");
    write_atomic(&path_of(resources), text.as_bytes(), 0o644)
}

/// The path of a file below the folder. As text: comparing paths part by part takes longer.
fn below<'a>(resources: &Path, path: &'a Path) -> Option<&'a str> {
    path.to_str()?.strip_prefix(resources.to_str()?)?.strip_prefix('/')
}

/// The key of the object that a file is for, by its path.
pub(super) fn key_of(path: &Path) -> Option<ObjectKey> {
    let namespace = path.parent()?.parent()?.file_name()?.to_str()?;
    Some(ObjectKey::new(namespace, path.file_stem()?.to_str()?))
}

/// Beside the folder, so that the folder has only what people read.
fn path_of(resources: &Path) -> PathBuf {
    resources.with_file_name("resources.copies")
}
