//! Reads small files of a site: keys, tokens, certificates, configuration.

use std::fs::{FileType, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The flags with which a file is opened whose kind is not known: a FIFO does not block, and a terminal does not become
/// the controlling terminal.
pub(crate) const UNKNOWN_KIND: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// Why a small file was not read. The message does not have its path.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The operating system does not read it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not a regular file.
    #[error("expected a regular file, found {0}")]
    Kind(&'static str),
    /// It is larger than its limit.
    #[error("expected at most {most} bytes, found more")]
    TooLarge {
        /// The limit in bytes.
        most: u64,
    },
}

/// The bytes of a regular file of at most `most` bytes. A symbolic link is followed, because the files of a mounted
/// Secret are links. It blocks.
pub(crate) fn read_input(path: &Path, most: u64) -> Result<Vec<u8>, InputError> {
    let file = OpenOptions::new().read(true).custom_flags(UNKNOWN_KIND).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        return Err(InputError::Kind(kind_name(kind)));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(InputError::TooLarge { most }) } else { Ok(bytes) }
}

/// What a file is that is not a regular file.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
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
        assert_eq!(read_input(&path, 8).unwrap(), [0; 8]);
        let message = |path: &Path| read_input(path, 7).unwrap_err().to_string();
        assert!(message(&path) == "expected at most 7 bytes, found more", "{}", message(&path));
        assert!(message(folder.path()) == "expected a regular file, found a directory");
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
        assert!(message(&fifo) == "expected a regular file, found a FIFO");
        assert!(message(Path::new("/dev/zero")) == "expected a regular file, found a device");
        assert!(message(&folder.path().join("none")).contains("No such file"));
    }
}
