//! SHA-512 digests of images. The cache stores images by their digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A SHA-512 digest (FIPS 180-4): 64 bytes, written as 128 lower-case hexadecimal digits.
///
/// Parsing accepts both cases, because publishers use both; the output is always in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha512Digest([u8; 64]);

/// Why a text is no SHA-512 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a sha512 of 128 hexadecimal digits, found {found}")]
pub struct DigestError {
    found: String,
}

impl Sha512Digest {
    /// A digest from its 64 bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The first 12 hexadecimal digits, for display.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl FromStr for Sha512Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError { found: describe(text) })?;
        Ok(Self(bytes))
    }
}

/// What was found instead, cut for a message.
fn describe(text: &str) -> String {
    let shown: String = text.chars().take(24).collect();
    if text.is_empty() { "nothing".to_owned() } else { format!("{shown:?} ({} characters)", text.chars().count()) }
}

impl fmt::Display for Sha512Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha512Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha512:{}", self.short())
    }
}

impl TryFrom<String> for Sha512Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Sha512Digest> for String {
    fn from(digest: Sha512Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_case_is_read_and_lower_case_is_shown() {
        let lower = "0123456789abcdef".repeat(8);
        let digest: Sha512Digest = lower.to_uppercase().parse().unwrap();
        assert_eq!(digest.to_string(), lower);
        assert_eq!(digest.short(), "0123456789ab");
    }

    #[test]
    fn everything_else_is_refused_with_what_was_found() {
        let cases = ["", "CHECKSUM", &"0".repeat(127), &"0".repeat(129), &"g".repeat(128), &"é".repeat(64)];
        for text in cases {
            let error = text.parse::<Sha512Digest>().unwrap_err().to_string();
            assert!(error.starts_with("expected a sha512 of 128 hexadecimal digits, found "), "{error}");
            assert!(error.len() < 160, "{error}");
        }
    }
}
