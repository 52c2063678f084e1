//! What a process changes in a folder, as strace(1) records it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The system calls that change a file system. One of them that is no [`Change`] ends the test.
const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,truncate,\
                     ftruncate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,\
                     rmdir,fsync,fdatasync,syncfs,sync_file_range";

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file is made, if there is none.
    Create(PathBuf),
    /// Bytes are appended.
    Append(PathBuf, Vec<u8>),
    /// A file gets this length.
    Cut(PathBuf, usize),
    /// A file gets one more name.
    Link(PathBuf, PathBuf),
    /// A file gets another name.
    Rename(PathBuf, PathBuf),
    /// A name is removed.
    Remove(PathBuf),
    /// A directory is made.
    Folder(PathBuf),
    /// The bytes of a file, or the names in a directory, are synced.
    Sync(PathBuf),
    /// The process wrote a line to its standard error.
    Said(String),
}

/// Runs a command to its good end, and returns what it changed in a folder, in the order in which the calls returned.
pub fn record(command: &Command, folder: &Path) -> Vec<Change> {
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--decode-fds=path", "--string-limit=16777216", "--quiet=all", "--trace", CALLS]);
    strace.arg("--output").arg(output.path()).arg(command.get_program()).args(command.get_args());
    let ran = strace.output().expect("strace is installed");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = std::fs::read_to_string(output.path()).unwrap();
    whole_lines(&text).iter().filter_map(|line| change(line, folder)).collect()
}

/// The calls as one line each. A call during which another thread made one is recorded in two pieces.
fn whole_lines(text: &str) -> Vec<String> {
    let (mut begun, mut whole) = (HashMap::new(), Vec::new());
    for line in text.lines() {
        let (thread, line) = line.split_once(' ').unwrap();
        let line = line.trim_start();
        if let Some(begin) = line.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, begin);
        } else if let Some((_, end)) = line.strip_prefix("<... ").and_then(|line| line.split_once(" resumed>")) {
            whole.push(format!("{}{end}", begun.remove(thread).unwrap()));
        } else if line.contains(") = ") || line.contains(")  ") {
            whole.push(line.to_owned());
        }
    }
    whole
}

/// An argument of a call.
#[derive(Default)]
struct Argument {
    /// Everything but the following two.
    text: String,
    /// The bytes of a string.
    bytes: Vec<u8>,
    /// The path of a file descriptor.
    path: PathBuf,
}

fn change(line: &str, folder: &Path) -> Option<Change> {
    let (name, rest) = line.split_once('(').unwrap();
    let (arguments, result) = arguments(rest);
    let result = result.trim_start().strip_prefix("= ").unwrap_or_else(|| panic!("{line:.200}"));
    if result.starts_with('-') {
        return None;
    }
    let string = |number: usize| PathBuf::from(String::from_utf8(arguments[number].bytes.clone()).unwrap());
    let flag = |flag: &str| arguments.iter().any(|argument| argument.text.split('|').any(|text| text.trim() == flag));
    let of = &arguments[0].path;
    let change = match name {
        "open" | "openat" => {
            let path = string(usize::from(name == "openat"));
            match (flag("O_CREAT"), flag("O_TRUNC")) {
                (_, true) => panic!("{line:.200}: the folder has no file that is cut while it is opened"),
                (true, false) => Change::Create(path),
                (false, false) => return None,
            }
        }
        "write" if arguments[0].text == "2" => Change::Said(String::from_utf8(arguments[1].bytes.clone()).unwrap()),
        "write" => Change::Append(of.clone(), arguments[1].bytes[..result.parse::<usize>().unwrap()].to_vec()),
        "ftruncate" => Change::Cut(of.clone(), arguments[1].text.trim().parse().unwrap()),
        "link" | "rename" | "linkat" | "renameat" | "renameat2" => {
            let (from, to) = if arguments.len() > 2 { (string(1), string(3)) } else { (string(0), string(1)) };
            if name.starts_with("link") { Change::Link(from, to) } else { Change::Rename(from, to) }
        }
        "unlink" => Change::Remove(string(0)),
        "unlinkat" => Change::Remove(string(1)),
        "mkdir" => Change::Folder(string(0)),
        "mkdirat" => Change::Folder(string(1)),
        "fsync" => Change::Sync(of.clone()),
        _ => {
            let mentioned = arguments.iter().any(|argument| argument.path.starts_with(folder));
            assert!(!mentioned, "a call that is no change: {line:.200}");
            return None;
        }
    };
    is_in(&change, folder).then_some(change)
}

/// Whether a change is one of the folder.
fn is_in(change: &Change, folder: &Path) -> bool {
    match change {
        Change::Create(path)
        | Change::Append(path, _)
        | Change::Cut(path, _)
        | Change::Remove(path)
        | Change::Folder(path)
        | Change::Sync(path)
        | Change::Link(_, path)
        | Change::Rename(_, path) => path.starts_with(folder),
        Change::Said(_) => true,
    }
}

/// The arguments up to the closing bracket, and what is after it.
fn arguments(text: &str) -> (Vec<Argument>, &str) {
    let (mut found, mut rest) = (vec![Argument::default()], text);
    loop {
        let argument = found.last_mut().unwrap();
        let next = rest.chars().next().unwrap();
        rest = &rest[next.len_utf8()..];
        match next {
            ')' => return (found, rest),
            ',' => found.push(Argument::default()),
            '"' => rest = unescape(rest, &mut argument.bytes),
            '<' => {
                let (path, after) = rest.split_once('>').unwrap();
                (argument.path, rest) = (PathBuf::from(path), after.trim_start_matches("(deleted)"));
            }
            other => argument.text.push(other),
        }
    }
}

/// Reads a string in C's notation up to its closing quote. Returns what is after it.
fn unescape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let escaped = text.as_bytes();
    let mut at = 0;
    loop {
        match escaped[at] {
            b'"' => return &text[at + 1..],
            b'\\' => {
                let digits = escaped[at + 1..].iter().take(3).take_while(|c| (b'0'..=b'7').contains(c)).count();
                bytes.push(match escaped[at + 1] {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 11,
                    b'f' => 12,
                    _ if digits > 0 => u8::from_str_radix(&text[at + 1..at + 1 + digits], 8).unwrap(),
                    other => other,
                });
                at += 1 + digits.max(1);
            }
            other => {
                bytes.push(other);
                at += 1;
            }
        }
    }
}
