//! SHA-256 digests of messages and payloads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 digest of a message or a payload, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; 32]);

/// The text is not a digest in this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected sha256: and 64 hexadecimal digits, found {found:?}")]
pub struct Sha256DigestError {
    found: String,
}

impl Sha256Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of these parts, concatenated.
    pub(super) fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(parts.fold(Sha256::new(), sha2::Digest::chain_update).finalize().into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits, for short names.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl FromStr for Sha256Digest {
    type Err = Sha256DigestError;

    fn from_str(text: &str) -> Result<Self, Sha256DigestError> {
        let refused = || Sha256DigestError { found: text.chars().take(24).collect() };
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("sha256:").ok_or_else(refused)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.short())
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = Sha256DigestError;

    fn try_from(text: String) -> Result<Self, Sha256DigestError> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_its_algorithm_and_read_back() {
        let digest = Sha256Digest::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        for bad in ["", "ba7816bf", "sha256:", "sha512:ba", &text[..70], &format!("{text}0")] {
            assert!(bad.parse::<Sha256Digest>().is_err(), "{bad}");
        }
    }
}
