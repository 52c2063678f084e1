//! `dc:identifier` of images and lists.

use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde_with::{DeserializeFromStr, SerializeDisplay};
use sha2::{Digest, Sha256};

/// The `dc:identifier` of an image or a list: usually a UUID, but any text that is safe as a component of a path is
/// allowed.
///
/// 1 to 128 characters: a letter or digit first, then letters, digits and `. _ @ + = -`. A list can contain any text
/// (`../../evil` has been seen). Other texts are refused and never become a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SerializeDisplay, DeserializeFromStr)]
pub struct ImageId(String);

/// Why a text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an identifier of 1 to 128 letters, digits and . _ @ + = - with a letter or digit first, found {found:?}"
)]
pub struct IdentifierError {
    found: String,
}

impl ImageId {
    /// The longest identifier, in characters (each is one byte).
    pub const MAXIMUM_LENGTH: usize = 128;

    /// The name of the `CachedImage` of this identifier: the identifier itself if it is a valid object name (RFC 1123
    /// subdomain), otherwise `sha256-` and the first 40 hexadecimal digits of its SHA-256.
    pub fn object_name(&self) -> String {
        if is_object_name(&self.0) {
            return self.0.clone();
        }
        let digest = HEXLOWER.encode(&Sha256::digest(self.0.as_bytes()));
        format!("sha256-{}", &digest[..40])
    }
}

/// Whether a text is an RFC 1123 subdomain as in Kubernetes: labels of lower-case letters, digits and `-`, separated by
/// dots.
pub(crate) fn is_object_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    };
    text.len() <= 253 && text.split('.').all(label)
}

impl FromStr for ImageId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._@+=-".contains(&c);
        let starts_well = text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if starts_well && text.len() <= Self::MAXIMUM_LENGTH && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError { found: text.chars().take(64).collect() })
        }
    }
}

crate::text::checked_text!(ImageId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_shell_text_and_overlong_names_are_refused() {
        let long = "a".repeat(129);
        for text in ["", ".", "..", "../../evil", "a/b", "a\0", "$(id)", "-rf", ".hidden", "é", "a b", "a\n", &long] {
            assert!(text.parse::<ImageId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_object_name_is_the_identifier_or_its_digest() {
        let uuid: ImageId = "858a817e-0ca2-473f-89d3-d5bdfc51968e".parse().unwrap();
        assert_eq!(uuid.object_name(), "858a817e-0ca2-473f-89d3-d5bdfc51968e");
        for text in ["FOOBAR_", "a..b", "a-", "A"] {
            let id: ImageId = text.parse().unwrap();
            assert_eq!(id.object_name().len(), 47, "{text}");
            assert!(is_object_name(&id.object_name()), "{text}");
        }
    }
}
