//! Reads a small file of the site that a sink needs: a key, a token, certificates.

use std::path::Path;

use super::sink::SinkError;
use crate::fs::read_input;

/// The bytes of a regular file of at most `limit` bytes, as [`read_input`] reads it. It blocks.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, SinkError> {
    read_input(path, limit).map_err(|error| unreadable(path, error.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_has_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "12345678").unwrap();
        assert_eq!(read(&path, 8).unwrap(), b"12345678");
        let message = read(&path, 7).unwrap_err().to_string();
        assert!(message.ends_with("key: expected at most 7 bytes, found more"), "{message}");
    }

    #[test]
    fn one_line_end_is_removed() {
        let cases = [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", ""), ("\n", "")];
        for (bytes, expected) in cases {
            assert_eq!(without_line_end(bytes.as_bytes()), expected.as_bytes(), "{bytes:?}");
        }
    }
}
