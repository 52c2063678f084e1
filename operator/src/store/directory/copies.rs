//! A copy of all stored images in one file, so that the next run does not parse the YAML of those that did not change.
//!
//! The YAML files are what counts. A copy is used only while its file has the same inode, size and times, and a copy that
//! is missing or cannot be read costs time and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::api::{CachedImage, ObjectKey};
use crate::fs::{FileError, Stamp, write_atomic};
use crate::parallel;

/// The first line. Another version of this program may understand other fields.
const HEAD: &str = concat!("copies of stored images, by vmcatcher-operator ", env!("CARGO_PKG_VERSION"), ", 2");
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// A file that changed so shortly before the copy was made may change again without another time.
const UNSURE: SignedDuration = SignedDuration::from_millis(100);
/// So many bytes are worth a thread.
const WORTH_A_THREAD: usize = 256 * 1024;
/// The file is read in pieces of so many bytes.
const PIECE: usize = 64 * 1024;
/// The last line.
const END: &str = "end\n";
/// Where an image has no mark.
const NO_MARK: &str = "-";

/// Marks of images, in words without blanks: what a run may rely on as long as the stored object does not change.
pub type Marks = BTreeMap<ObjectKey, String>;

/// A copy in the file: a line with the stamp, the mark and the path, then a line of JSON.
struct Record<'a> {
    stamp: Stamp,
    mark: &'a str,
    /// The path of the image's file below the folder.
    path: &'a str,
    json: &'a str,
}

/// A copied image whose file has not changed.
pub(super) struct Copy<'a> {
    /// The path of its file below the folder.
    pub(super) path: &'a str,
    pub(super) image: CachedImage,
    pub(super) mark: Option<&'a str>,
}

/// What `take` makes of the copies of an earlier run in a folder of stored objects, on all processors; `None` for those
/// whose files have changed. Empty if the copies cannot be read.
pub(super) fn read<R: Send>(resources: &Path, take: impl Fn(Copy<'_>) -> R + Sync) -> Vec<Option<R>> {
    each(resources, |record| record.copy(resources).map(&take)).unwrap_or_default()
}

impl<'a> Record<'a> {
    fn of(head: &'a [u8], json: &'a [u8]) -> Option<Self> {
        // Each line at once: that is faster than each text in it.
        let (head, json) = (str::from_utf8(head).ok()?, str::from_utf8(json).ok()?);
        let (stamp, rest) = Stamp::read(head)?;
        let (mark, path) = rest.split_once(' ')?;
        Some(Self { stamp, mark, path, json })
    }

    fn copy(&self, resources: &Path) -> Option<Copy<'a>> {
        let Self { stamp, mark, path, json } = *self;
        let is_same = Stamp::at(&resources.join(path)).ok()?? == stamp;
        let image = if is_same { serde_json::from_str(json).ok()? } else { return None };
        Some(Copy { path, image, mark: Some(mark).filter(|mark| *mark != NO_MARK) })
    }
}

/// Visits each record, on all processors; `None` for a record that cannot be read. The file is read piece by piece,
/// because new memory for all of it takes longer than reading it.
fn each<R: Send>(resources: &Path, visit: impl Fn(Record<'_>) -> Option<R> + Sync) -> io::Result<Vec<Option<R>>> {
    let path = path_of(resources);
    let about = fs::symlink_metadata(&path)?;
    let size = usize::try_from(about.len()).map_err(io::Error::other)?;
    if !about.is_file() || about.len() > LARGEST || !is_whole(&path)? {
        return Ok(Vec::new());
    }
    Ok(parallel::in_parts(size, WORTH_A_THREAD, |part| {
        let mut found = Vec::new();
        let read = each_in(&path, part, |head, json| found.push(Record::of(head, json).and_then(&visit)));
        // Then the number of copies is wrong, so they are made anew.
        read.map_or_else(|_| Vec::new(), |()| found)
    }))
}

/// Whether the file is of this version of the program, and has its end.
fn is_whole(path: &Path) -> io::Result<bool> {
    let (mut file, mut head, mut end) = (File::open(path)?, [0; HEAD.len()], [0; END.len()]);
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-i64::try_from(END.len()).map_err(io::Error::other)?))?;
    file.read_exact(&mut end)?;
    Ok(head == *HEAD.as_bytes() && end == *END.as_bytes())
}

/// Visits both lines of each record whose first line begins in a part of the file.
fn each_in(path: &Path, part: Range<usize>, mut visit: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(PIECE, File::open(path)?);
    let (mut head, mut json) = (Vec::new(), Vec::new());
    // The first record is after the line of the head. In any other part, what comes before a line is of the part before.
    let mut at = part.start.saturating_sub(1);
    reader.seek(SeekFrom::Start(at.try_into().map_err(io::Error::other)?))?;
    at += line(&mut reader, &mut head)?;
    if reader.fill_buf()?.first() == Some(&b'{') {
        at += line(&mut reader, &mut json)?;
    }
    while at < part.end {
        at += line(&mut reader, &mut head)?;
        if head == END.trim_end().as_bytes() {
            break;
        }
        at += line(&mut reader, &mut json)?;
        visit(&head, &json);
    }
    Ok(())
}

/// Reads a line without its end. Returns how many bytes it takes in the file.
fn line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    let size = reader.read_until(b'\n', line)?;
    line.pop_if(|last| *last == b'\n');
    if size == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(size) }
}

/// Makes the copies of these files anew. Images that did not change are copied from the copies before; `read` reads the
/// others. A mark is of the object that was read when the folder was `opened`, so it is copied only if the file has not
/// changed since.
pub(super) fn write(
    resources: &Path,
    files: &[PathBuf],
    read: impl Fn(&Path) -> Result<CachedImage, String> + Sync,
    (marks, opened): (&Marks, Timestamp),
    now: Timestamp,
) -> Result<(), FileError> {
    let same = |record: Record<'_>| Some((record.path.to_owned(), (record.stamp, record.json.to_owned())));
    let before: HashMap<_, _> = each(resources, same).unwrap_or_default().into_iter().flatten().collect();
    let copy = |path: &PathBuf| {
        let stamp = Stamp::at(path).ok().flatten().filter(|stamp| stamp.is_older(UNSURE, now))?;
        let relative = below(resources, path).filter(|path| !path.contains('\n'))?;
        let known = before.get(relative).filter(|(copied, _)| *copied == stamp).map(|(_, json)| json.clone());
        let json = known.or_else(|| serde_json::to_string(&read(path).ok()?).ok())?;
        let mark = key_of(path).and_then(|key| marks.get(&key));
        let mark = mark.filter(|_| stamp.is_older(UNSURE, opened)).map_or(NO_MARK, String::as_str);
        Some(format!("{} {mark} {relative}\n{json}\n", stamp.written()))
    };
    let mut copies = format!("{HEAD}\n");
    copies.extend(parallel::map(files, copy).into_iter().flatten());
    copies.push_str(END);
    write_atomic(&path_of(resources), copies.as_bytes(), 0o644)
}

/// The path of a file below the folder. As text: comparing paths part by part takes longer.
pub(super) fn below<'a>(resources: &Path, path: &'a Path) -> Option<&'a str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads of the records that parts of so many bytes have.
    fn heads(path: &Path, size: usize, part: usize) -> Vec<String> {
        let mut heads = Vec::new();
        for start in (0..size).step_by(part) {
            let visit = |head: &[u8], json: &[u8]| {
                assert!(json.starts_with(b"{") && json.ends_with(b"}"));
                heads.push(String::from_utf8(head.to_owned()).unwrap());
            };
            each_in(path, start..size.min(start + part), visit).unwrap();
        }
        heads
    }

    #[test]
    fn each_record_is_in_one_part() {
        let directory = tempfile::tempdir().unwrap();
        let path = path_of(&directory.path().join("resources"));
        for count in [0, 1, 2, 9] {
            let expected: Vec<String> = (0..count).map(|number| format!("1 2 3 4 5 - n/{number}.yaml")).collect();
            let records = expected.iter().enumerate();
            let records = records.map(|(number, head)| format!("{head}\n{{\"{}\":0}}\n", "x".repeat(number)));
            let text = format!("{HEAD}\n{}{END}", records.collect::<String>());
            fs::write(&path, &text).unwrap();
            assert!(is_whole(&path).unwrap());
            for part in 1..=text.len() {
                assert_eq!(heads(&path, text.len(), part), expected, "parts of {part} bytes");
            }
        }
    }

    #[test]
    fn a_file_without_its_end_has_no_copies() {
        let directory = tempfile::tempdir().unwrap();
        let resources = directory.path().join("resources");
        let text = format!("{HEAD}\n1 2 3 4 5 - n/a.yaml\n{{}}\n{END}");
        let count = || each(&resources, |_| Some(())).unwrap_or_default().len();
        fs::write(path_of(&resources), &text).unwrap();
        assert_eq!(count(), 1);
        for length in 0..text.len() {
            fs::write(path_of(&resources), &text[..length]).unwrap();
            assert_eq!(count(), 0, "{length} bytes");
        }
    }
}
