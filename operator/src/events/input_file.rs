//! Reads a small file of the site that a sink needs: a key, a token, certificates.

use std::fs::{FileType, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::sink::SinkError;

/// The flags with which a file is opened whose kind is not known: a FIFO does not block, and a terminal does not become
/// the controlling terminal.
pub(super) const UNKNOWN_KIND: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// The bytes of a regular file of at most `limit` bytes. A symbolic link is followed, because the files of a mounted
/// Secret are links. It blocks.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, SinkError> {
    let unusable = |found: String| unreadable(path, found);
    let failed = |error: std::io::Error| unusable(error.to_string());
    let file = OpenOptions::new().read(true).custom_flags(UNKNOWN_KIND).open(path).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if !kind.is_file() {
        return Err(unusable(format!("expected a regular file, found {}", kind_name(kind))));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(unusable(format!("expected at most {limit} bytes, found more")));
    }
    Ok(bytes)
}

/// The bytes without one line end at their end, which editors and `echo` add.
pub(super) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// The error of a file that cannot be read.
pub(super) fn unreadable(path: &Path, found: String) -> SinkError {
    SinkError::File { step: "read", path: path.to_owned(), found }
}

/// What a file is that is not a regular file.
pub(super) fn kind_name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "a file of another kind"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_nothing_else_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::File::create(&path).unwrap().set_len(8).unwrap();
        assert_eq!(read(&path, 8).unwrap(), [0; 8]);
        let message = |path: &Path| read(path, 7).unwrap_err().to_string();
        assert!(message(&path).ends_with("key: expected at most 7 bytes, found more"), "{}", message(&path));
        assert!(message(folder.path()).ends_with("expected a regular file, found a directory"));
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
        assert!(message(&fifo).ends_with("expected a regular file, found a FIFO"));
        assert!(message(Path::new("/dev/zero")).ends_with("expected a regular file, found a device"));
        assert!(message(&folder.path().join("none")).contains("No such file"));
    }

    #[test]
    fn one_line_end_is_removed() {
        let cases = [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", ""), ("\n", "")];
        for (bytes, expected) in cases {
            assert_eq!(without_line_end(bytes.as_bytes()), expected.as_bytes(), "{bytes:?}");
        }
    }
}
