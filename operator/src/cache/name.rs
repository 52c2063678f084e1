//! Names on the volume. Each is checked once, when it is made, so that no unchecked text from a list or a manifest
//! becomes a path.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_with::{DeserializeFromStr, SerializeDisplay};
use sha2::{Digest, Sha256};

use crate::imagelist::{ImageId, ListVersion, is_object_name};

/// The text cannot be a name on the volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct NameError {
    expected: &'static str,
    found: String,
}

impl NameError {
    pub(super) fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found: found.chars().take(64).collect() }
    }
}

/// A namespace or an object's name: an RFC 1123 subdomain, which is one component of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SerializeDisplay, DeserializeFromStr)]
pub struct SafeName(String);

impl FromStr for SafeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_object_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("a name of at most 253 lower-case letters, digits, - and . (RFC 1123)", text))
        }
    }
}

crate::text::checked_text!(SafeName);

/// The key of an image: an identifier in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// The namespace of the subscription.
    pub namespace: SafeName,
    /// `dc:identifier`.
    pub identifier: ImageId,
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.identifier)
    }
}

/// A file under `state/`: one or more components. `.json` is added at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatePath(PathBuf);

impl StatePath {
    /// Makes it from components. Each has 1 to 200 letters, digits and `. _ @ + = -`, and begins with a letter or
    /// digit.
    pub fn new<'a>(components: impl IntoIterator<Item = &'a str>) -> Result<Self, NameError> {
        // As text: a path is taken apart at each step.
        let mut path = String::new();
        for component in components {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(checked_component(component)?);
        }
        if path.is_empty() {
            return Err(NameError::new("at least one component of a state path", ""));
        }
        path.push_str(".json");
        Ok(Self(path.into()))
    }

    /// The path relative to `state/`.
    pub fn relative(&self) -> &Path {
        &self.0
    }
}

pub(super) fn checked_component(component: &str) -> Result<&str, NameError> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._@+=-".contains(&c);
    let starts_well = component.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts_well && component.len() <= 200 && component.bytes().all(allowed) {
        Ok(component)
    } else {
        Err(NameError::new("1 to 200 letters, digits and . _ @ + = - with a letter or digit first", component))
    }
}

/// The characters that are percent-encoded in a version. `~` is encoded too, because it marks a shortened version.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-').remove(b'+').remove(b'=').remove(b'@');

/// The maximum length of an encoded version. With a digest, an extension and `.json` it is below the 255 bytes of a
/// file name.
const LONGEST_VERSION: usize = 160;

/// Encodes a version as the first part of a file name, with percent-encoding. A leading dot or dash is encoded too, so
/// that the name is not hidden, not `..`, and not an option of a command.
/// If the result is too long, it is shortened and ends with `~` and 12 digits of its SHA-256.
pub(crate) fn encode_version(version: &ListVersion) -> String {
    let mut text = utf8_percent_encode(version.as_str(), ENCODED).to_string();
    match text.as_bytes().first() {
        Some(b'.') => text.replace_range(..1, "%2E"),
        Some(b'-') => text.replace_range(..1, "%2D"),
        Some(_) | None => {}
    }
    if text.len() > LONGEST_VERSION {
        let digest = HEXLOWER.encode(&Sha256::digest(version.as_str().as_bytes()));
        text.truncate(LONGEST_VERSION - 13);
        text = format!("{text}~{}", &digest[..12]);
    }
    text
}

/// The version in a file name. `None` for a shortened one, or for a text that is not the encoding of a version.
pub(super) fn decode_version(text: &str) -> Option<ListVersion> {
    let version: ListVersion = percent_decode_str(text).decode_utf8().ok()?.parse().ok()?;
    (encode_version(&version) == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_no_names() {
        for text in ["", ".", "..", "../a", "a/b", "A", "-a", "a-", "a..b", "a\0", "a b", "é"] {
            assert!(text.parse::<SafeName>().is_err(), "{text:?}");
        }
        assert!("site-a.example".parse::<SafeName>().is_ok());
        for bad in [vec![], vec![".."], vec!["a", ""], vec!["a/b"], vec![".a"], vec!["a", "../../b"]] {
            assert!(StatePath::new(bad.clone()).is_err(), "{bad:?}");
        }
        assert_eq!(StatePath::new(["a", "b.c"]).unwrap().relative(), Path::new("a/b.c.json"));
    }

    proptest! {
        #[test]
        fn a_version_is_one_component_and_comes_back(text in "\\PC{1,128}") {
            let Ok(version) = text.parse::<ListVersion>() else { return Ok(()) };
            let encoded = encode_version(&version);
            prop_assert!(encoded.len() <= LONGEST_VERSION);
            prop_assert!(encoded.bytes().all(|c| c.is_ascii_graphic() && c != b'/'));
            prop_assert!(!encoded.starts_with(['.', '-']));
            match decode_version(&encoded) {
                Some(back) => prop_assert_eq!(back, version),
                None => prop_assert!(encoded.contains('~')),
            }
        }
    }
}
