//! Reads a configuration file in YAML, with a limit.

use std::path::Path;

use serde_json::{Map, Value};

use super::error::ImportError;
use crate::fs::{InputError, read_input};
use crate::yaml::{describe, documents};

/// The largest configuration file, in bytes.
const LARGEST: u64 = 4 << 20;

/// The members of the file's one document.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, ImportError> {
    let bytes = read_input(path, LARGEST).map_err(|error| match error {
        InputError::TooLarge { most } => ImportError::TooMuch { path: path.to_owned(), most, of: "bytes".to_owned() },
        InputError::Io(source) => ImportError::unreadable(path)(source),
        InputError::Kind(kind) => {
            ImportError::OtherForm { path: path.to_owned(), expected: "a regular file", found: kind.to_owned() }
        }
    })?;
    let other = |found: String| ImportError::OtherForm { path: path.to_owned(), expected: "an object in YAML", found };
    let text = String::from_utf8(bytes).map_err(|_| other("bytes that are not UTF-8".to_owned()))?;
    let mut found = documents(&text).map(|document| document.value().map_err(|error| document.malformed(&error)));
    match (found.next(), found.next()) {
        (Some(Ok(Value::Object(members))), None) => Ok(members),
        (Some(Ok(value)), None) => Err(other(describe(&value))),
        (Some(Err((line, message))), _) => Err(other(format!("in line {line}: {message}"))),
        (None, _) => Err(other("no document".to_owned())),
        (Some(Ok(_)), Some(_)) => Err(other("several documents".to_owned())),
    }
}
