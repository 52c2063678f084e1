//! The `file` sink: one line of JSON for each event, at the end of a file.
//!
//! The file can be moved, removed or truncated at any time, as `logrotate` does with and without `copytruncate`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::cloud_event;
use super::event::Event;
use super::settings::FileSettings;
use super::sink::{Delivery, Sink, SinkError};
use crate::fs::{UNKNOWN_KIND, kind_name};

/// The permissions of a file that the sink creates, before the umask.
const NEW_FILE: u32 = 0o640;

/// Appends events to a file of JSON lines. A clone writes to the same file, one of them at a time.
#[derive(Clone)]
pub struct FileSink {
    settings: Arc<FileSettings>,
    /// A write that has begun ends, even if its delivery was dropped: the lock keeps the next one behind it.
    file: Arc<Mutex<Option<File>>>,
}

impl FileSink {
    /// A sink with these settings. The file is opened at the first delivery.
    pub fn new(settings: FileSettings) -> Self {
        Self { settings: Arc::new(settings), file: Arc::default() }
    }
}

impl Sink for FileSink {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        if events.is_empty() {
            return Delivery::default();
        }
        let lines: Vec<String> = events.iter().map(|event| format!("{}\n", cloud_event::data(event))).collect();
        let (settings, file) = (self.settings.clone(), self.file.clone());
        let append = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            append(&settings.path, &mut file, &lines)
        };
        let appended = tokio::task::spawn_blocking(append).await;
        let (handled, stopped) = appended.unwrap_or_else(|error| {
            let (step, path) = ("append to", self.settings.path.clone());
            (0, Some(SinkError::File { step, path, found: error.to_string() }))
        });
        Delivery { handled, refused: Vec::new(), stopped }
    }
}

/// Appends lines to the file at the path: how many are durable, and why not all.
///
/// After a failure the file is opened again, because the pages of a failed `fdatasync` are lost without a further error.
fn append(path: &Path, kept: &mut Option<File>, lines: &[String]) -> (usize, Option<SinkError>) {
    let failed = |step| move |found: String| SinkError::File { step, path: path.to_owned(), found };
    let file = match kept.take().filter(|file| is_at(file, path)).map_or_else(|| open(path), Ok) {
        Ok(file) => file,
        Err(found) => return (0, Some(failed("open")(found))),
    };
    let (written, stopped) = match write_lines(&file, lines) {
        Ok(()) => (lines.len(), None),
        Err((whole, error)) => (whole, Some(failed("append to")(error.to_string()))),
    };
    if let Err(error) = file.sync_data() {
        return (0, stopped.or_else(|| Some(failed("synchronise")(error.to_string()))));
    }
    if stopped.is_some() {
        return (written, stopped);
    }
    // Lines in a file that was removed during the write are lost. One that was only moved still has them.
    match file.metadata() {
        Ok(about) if about.nlink() == 0 => {
            return (0, Some(failed("append to")("it was removed during the write".to_owned())));
        }
        Ok(_) => *kept = Some(file),
        Err(error) => return (0, Some(failed("inspect")(error.to_string()))),
    }
    (written, None)
}

/// Whether the open file is the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |open: fs::Metadata, at: fs::Metadata| (open.dev(), open.ino()) == (at.dev(), at.ino());
    file.metadata().and_then(|open| Ok(same(open, fs::metadata(path)?))).unwrap_or(false)
}

/// Opens the file at the path, or creates it. Links are followed. An error has what was found.
fn open(path: &Path) -> Result<File, String> {
    let refuse = |kind| format!("expected a regular file, found {}", kind_name(kind));
    let is_new = match fs::metadata(path) {
        Ok(about) if !about.is_file() => return Err(refuse(about.file_type())),
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error.to_string()),
    };
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(NEW_FILE).custom_flags(UNKNOWN_KIND);
    let file = options.open(path).map_err(|error| error.to_string())?;
    // It can have become another one since.
    let kind = file.metadata().map_err(|error| error.to_string())?.file_type();
    if !kind.is_file() {
        return Err(refuse(kind));
    }
    if is_new {
        synchronise_directory(path).map_err(|error| format!("its directory: {error}"))?;
    }
    Ok(file)
}

/// Makes the name of a new file durable, at the place where links lead. A directory that the operator may not read is
/// left to the kernel, and a file that was moved since is the business of whoever moved it.
fn synchronise_directory(path: &Path) -> io::Result<()> {
    let directory = fs::canonicalize(path).and_then(|place| place.parent().map(File::open).transpose());
    match directory {
        Ok(directory) => directory.map_or(Ok(()), |directory| directory.sync_all()),
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes all lines with one call, behind a line end if the file ends within a line. An error has how many lines are
/// whole in the file.
fn write_lines(mut file: &File, lines: &[String]) -> Result<(), (usize, io::Error)> {
    let end: &[u8] = if ends_within_a_line(file).map_err(|error| (0, error))? { b"\n" } else { b"" };
    let bytes = [end, lines.concat().as_bytes()].concat();
    let mut written = 0;
    while written < bytes.len() {
        let failed = match file.write(&bytes[written..]) {
            Ok(0) => io::Error::from(ErrorKind::WriteZero),
            Ok(count) => {
                written += count;
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        return Err((whole_lines(lines, written.saturating_sub(end.len())), failed));
    }
    Ok(())
}

/// Whether the last byte of the file is not a line end: a crash or a full disk has torn its last line.
fn ends_within_a_line(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    // A file that was truncated since has no last line.
    let count = file.read_at(&mut byte, last)?;
    Ok(count == 1 && byte != *b"\n")
}

/// How many lines are whole in their first `written` bytes.
fn whole_lines(lines: &[String], written: usize) -> usize {
    let ends = lines.iter().scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    ends.take_while(|end| *end <= written).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_up_to_the_byte_that_was_written_last() {
        let lines = ["ab\n", "\n", "c\n"].map(str::to_owned);
        let found: Vec<usize> = (0..=6).map(|written| whole_lines(&lines, written)).collect();
        assert_eq!(found, [0, 0, 0, 1, 2, 2, 3]);
        assert_eq!(whole_lines(&[], 0), 0);
    }

    #[test]
    fn a_torn_line_ends_before_the_next_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut kept = None;
        let mut append = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
            append(&path, &mut kept, &lines)
        };
        assert!(matches!(append(&["a", "b"]), (2, None)));
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"to").unwrap();
        assert!(matches!(append(&["c"]), (1, None)));
        assert!(matches!(append(&["d"]), (1, None)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n{\"to\nc\nd\n");
    }

    #[test]
    fn a_write_that_fails_is_an_error_and_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        // A memory file that does not grow is like a full disk.
        let memory = rustix::fs::memfd_create("events", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::fcntl_add_seals(&memory, rustix::fs::SealFlags::GROW).unwrap();
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
        std::os::unix::fs::symlink(name, &path).unwrap();
        let mut kept = None;
        let (handled, stopped) = append(&path, &mut kept, &["a\n".to_owned()]);
        let message = stopped.unwrap().to_string();
        assert_eq!((handled, kept.is_none()), (0, true));
        assert!(message.starts_with("cannot append to ") && message.contains("not permitted"), "{message}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(append(&path, &mut kept, &["a\n".to_owned()]), (1, None)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
    }
}
