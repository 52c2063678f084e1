//! The file sink and what logrotate and sites do with a log.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vmcatcher_operator::events::{Event, FileSettings, FileSink, Sink as _, SinkError};

use super::webhook::sample::{HOSTILE, event, events};

/// A folder, and a sink of a file in it.
fn sink() -> (TempDir, PathBuf, FileSink) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let sink = sink_of(&path);
    (folder, path, sink)
}

fn sink_of(path: &Path) -> FileSink {
    FileSink::new(FileSettings { path: path.to_owned() })
}

async fn append(sink: &mut FileSink, events: &[Event]) {
    let delivery = sink.deliver(events).await;
    assert!(delivery.stopped.is_none(), "{delivery:?}");
    assert_eq!((delivery.handled, delivery.refused.len()), (events.len(), 0));
}

/// Why events are not written.
async fn stopped(path: &Path) -> String {
    let delivery = sink_of(path).deliver(&events(2)).await;
    assert_eq!(delivery.handled, 0);
    let error = delivery.stopped.unwrap();
    assert!(matches!(&error, SinkError::File { path: found, .. } if found == path), "{error}");
    error.to_string()
}

/// The events of a file, each on a whole line.
fn read(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn each_event_is_one_line_whatever_is_in_it() {
    let (_folder, path, mut sink) = sink();
    append(&mut sink, &events(3)).await;
    append(&mut sink, &[]).await;
    append(&mut sink, &[event(3)]).await;
    assert_eq!(read(&path), events(4));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches('\n').count(), 4);
    // No reader sees a line end or an escape sequence in the characters of a title.
    assert!(!text.contains(['\u{1b}', '\u{85}', '\u{2028}', '\u{202e}', '\r']) && HOSTILE.contains('\u{2028}'));
    let about = fs::metadata(&path).unwrap();
    assert_eq!(about.permissions().mode() & 0o777 & !0o640, 0, "{:o}", about.permissions().mode());
}

#[tokio::test]
async fn a_log_that_is_rotated_by_renaming_loses_no_line() {
    let (folder, path, mut sink) = sink();
    let mut rotated = Vec::new();
    for round in 0..5 {
        append(&mut sink, &events(4)[..2]).await;
        let old = folder.path().join(format!("events.jsonl.{round}"));
        fs::rename(&path, &old).unwrap();
        if round % 2 == 0 {
            // With `create`, another file is there at once.
            fs::File::create(&path).unwrap();
        }
        append(&mut sink, &events(4)[2..]).await;
        rotated.push(old);
    }
    assert_eq!(read(&rotated[0]), events(2));
    for old in &rotated[1..] {
        let ids: Vec<_> = read(old).iter().map(|event| event.id).collect();
        assert_eq!(ids, [event(2).id, event(3).id, event(0).id, event(1).id]);
    }
    assert_eq!(read(&path), events(4)[2..]);
}

#[tokio::test]
async fn a_log_that_is_copied_and_truncated_has_no_hole() {
    let (folder, path, mut sink) = sink();
    let copy = folder.path().join("events.jsonl.1");
    append(&mut sink, &events(3)).await;
    fs::copy(&path, &copy).unwrap();
    OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    append(&mut sink, &[event(3)]).await;
    assert_eq!((read(&copy), read(&path)), (events(3), vec![event(3)]));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

#[tokio::test]
async fn a_log_that_is_renamed_all_the_time_loses_no_line() {
    let (folder, path, mut sink) = sink();
    // What logrotate does, as fast as it can be done.
    let rotating = std::thread::spawn({
        let (folder, path) = (folder.path().to_owned(), path.clone());
        move || {
            let mut round = 0;
            while !folder.join("done").exists() {
                round += usize::from(fs::rename(&path, folder.join(format!("old.{round}"))).is_ok());
            }
            round
        }
    });
    let all = events(600);
    for part in all.chunks(3) {
        append(&mut sink, part).await;
    }
    fs::write(folder.path().join("done"), "").unwrap();
    let rounds = rotating.join().unwrap();
    let mut found = Vec::new();
    for round in 0..rounds {
        found.extend(read(&folder.path().join(format!("old.{round}"))));
    }
    if path.exists() {
        found.extend(read(&path));
    }
    assert!(rounds > 10, "{rounds}");
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_removed_file_and_a_removed_directory_are_noticed() {
    let (folder, _, _) = sink();
    let directory = folder.path().join("log");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("events");
    let mut sink = sink_of(&path);
    append(&mut sink, &events(2)).await;
    fs::remove_file(&path).unwrap();
    append(&mut sink, &[event(2)]).await;
    assert_eq!(read(&path), [event(2)]);
    fs::remove_dir_all(&directory).unwrap();
    let delivery = sink.deliver(&events(1)).await;
    let message = delivery.stopped.unwrap().to_string();
    assert_eq!(delivery.handled, 0);
    assert_eq!(message, format!("cannot open {}: No such file or directory (os error 2)", path.display()));
    assert!(!directory.exists());
    fs::create_dir(&directory).unwrap();
    append(&mut sink, &[event(3)]).await;
    assert_eq!(read(&path), [event(3)]);
}

#[tokio::test]
async fn a_line_that_a_crash_has_torn_stays_the_only_broken_one() {
    let (_folder, path, mut sink) = sink();
    append(&mut sink, &events(1)).await;
    let whole = fs::read(&path).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&whole[..20]).unwrap();
    let mut after_restart = sink_of(&path);
    append(&mut after_restart, &events(2)).await;
    append(&mut sink, &[event(2)]).await;
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Option<Event>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines, [Some(event(0)), None, Some(event(0)), Some(event(1)), Some(event(2))]);
}

#[tokio::test]
async fn a_link_is_followed_also_to_a_file_that_is_not_there_yet() {
    let (folder, path, mut sink) = sink();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    let target = folder.path().join("elsewhere/log");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    append(&mut sink, &events(2)).await;
    assert_eq!(read(&target), events(2));
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[tokio::test]
async fn what_is_no_file_is_refused_and_a_fifo_blocks_nothing() {
    let (folder, path, _) = sink();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let circle = folder.path().join("circle");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    fs::write(&path, "").unwrap();
    let cases = [
        (fifo, "expected a regular file, found a FIFO"),
        (folder.path().to_owned(), "expected a regular file, found a directory"),
        (socket, "expected a regular file, found a socket"),
        (PathBuf::from("/dev/full"), "expected a regular file, found a device"),
        (path.join("below"), "Not a directory"),
        (circle, "Too many levels of symbolic links"),
        (folder.path().join("x".repeat(300)), "File name too long"),
    ];
    for (path, expected) in cases {
        let message = stopped(&path).await;
        assert!(message.starts_with(&format!("cannot open {}: ", path.display())), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_said() {
    // The kernel refuses to write it, root included, who may open it.
    let message = stopped(Path::new("/proc/version")).await;
    let expected = ["append to /proc/version: Input/output error", "open /proc/version: Permission denied"];
    assert!(expected.iter().any(|expected| message.contains(expected)), "{message}");
}

/// Where the test below finds its small file system.
const SMALL: &str = "VMCATCHER_TEST_SMALL_FILE_SYSTEM";

/// A full disk takes the lines that fit, and the others when there is room again. The file system is made in name spaces of
/// their own; where these cannot be made, nothing is checked.
#[test]
fn a_full_disk_tears_at_most_one_line_which_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let inside = "mount -t tmpfs -o size=64k small \"$1\" && exec \"$2\" --exact --ignored --nocapture \"$3\"";
    let name = concat!(module_path!(), "::on_a_full_disk").split_once("::").unwrap().1;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", inside, "sh"]);
    command.arg(folder.path()).arg(std::env::current_exe().unwrap()).arg(name).env(SMALL, folder.path());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    if said.contains("unshare failed") || said.contains("permission denied") {
        return eprintln!("there are no name spaces here: nothing is checked: {said}");
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "it runs in the file system that the test above makes"]
async fn on_a_full_disk() {
    let folder = PathBuf::from(std::env::var_os(SMALL).unwrap());
    let path = folder.join("events");
    let mut sink = sink_of(&path);
    let all = events(100);
    let delivery = sink.deliver(&all).await;
    let message = delivery.stopped.unwrap().to_string();
    assert!(message.starts_with("cannot append to ") && message.contains("No space left"), "{message}");
    assert!((10..100).contains(&delivery.handled), "{}", delivery.handled);
    let again = sink.deliver(&all[delivery.handled..]).await;
    assert_eq!(again.handled, 0);
    let torn = fs::read_to_string(&path).unwrap();
    let (whole, part) = torn.rsplit_once('\n').unwrap();
    assert_eq!(whole.lines().count(), delivery.handled);
    assert!(!part.is_empty());
    let copy = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    fs::copy(&path, copy.path()).unwrap();
    OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(part.as_bytes()).unwrap();
    append(&mut sink, &all[delivery.handled..delivery.handled + 5]).await;
    let lines = fs::read_to_string(&path).unwrap();
    let lines: Vec<Option<Event>> = lines.lines().map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines[0], None);
    let found: Vec<Event> = lines.into_iter().skip(1).map(Option::unwrap).collect();
    assert_eq!(found, all[delivery.handled..delivery.handled + 5]);
}
