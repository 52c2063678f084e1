//! Digests: of messages (SHA-256) and of images (SHA-512). Pure.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_with::{DeserializeFromStr, SerializeDisplay};
use sha2::{Digest as _, Sha256};

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct DigestError {
    expected: &'static str,
    found: String,
}

/// A type for digests of so many bytes. Its text is a prefix and lower-case hexadecimal digits. Parsing accepts both
/// cases, because publishers use both.
macro_rules! digest {
    ($(#[$meta:meta])* $name:ident, $bytes:literal, $prefix:literal, $short:literal, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SerializeDisplay, DeserializeFromStr)]
        pub struct $name([u8; $bytes]);

        impl $name {
            #[doc = concat!("A digest from its ", $bytes, " bytes.")]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            #[doc = concat!("The ", $bytes, " bytes.")]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// All hexadecimal digits, in lower case, without a prefix.
            pub fn digits(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// The first 12 hexadecimal digits, for display.
            pub fn short(&self) -> String {
                HEXLOWER.encode(&self.0[..6])
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                let refused = || DigestError { expected: $expected, found: describe(text) };
                let mut bytes = [0; $bytes];
                let digits = text.strip_prefix($prefix).filter(|digits| digits.len() == 2 * $bytes).ok_or_else(refused)?;
                HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), &mut bytes).map_err(|_| refused())?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $short, self.short())
            }
        }
    };
}

digest!(
    /// A SHA-256 digest (FIPS 180-4) of a message or a payload, written `sha256:` and 64 hexadecimal digits.
    Sha256Digest, 32, "sha256:", "sha256:", "sha256: and 64 hexadecimal digits"
);
digest!(
    /// A SHA-512 digest (FIPS 180-4) of an image, written as 128 hexadecimal digits. The cache stores images by it.
    Sha512Digest, 64, "", "sha512:", "a sha512 of 128 hexadecimal digits"
);

impl Sha256Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of these parts, concatenated.
    pub(crate) fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(parts.fold(Sha256::new(), sha2::Digest::chain_update).finalize().into())
    }
}

/// The digest that identifies the bytes of an image, as its publisher states it. The cache computes the SHA-512 of bytes
/// that are identified by another digest, and stores them by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ContentDigest {
    /// A SHA-512 digest.
    Sha512(Sha512Digest),
    /// A SHA-256 digest.
    Sha256(Sha256Digest),
}

impl ContentDigest {
    /// The SHA-512 digest, if it is one.
    pub const fn sha512(&self) -> Option<Sha512Digest> {
        match self {
            Self::Sha512(digest) => Some(*digest),
            Self::Sha256(_) => None,
        }
    }

    /// The SHA-256 digest, if it is one.
    pub const fn sha256(&self) -> Option<Sha256Digest> {
        match self {
            Self::Sha512(_) => None,
            Self::Sha256(digest) => Some(*digest),
        }
    }

    /// The first 12 hexadecimal digits, for display.
    pub fn short(&self) -> String {
        match self {
            Self::Sha512(digest) => digest.short(),
            Self::Sha256(digest) => digest.short(),
        }
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha512(digest) => digest.fmt(f),
            Self::Sha256(digest) => digest.fmt(f),
        }
    }
}

impl FromStr for ContentDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.starts_with("sha256:") { text.parse().map(Self::Sha256) } else { text.parse().map(Self::Sha512) }
    }
}

impl From<Sha512Digest> for ContentDigest {
    fn from(digest: Sha512Digest) -> Self {
        Self::Sha512(digest)
    }
}

impl From<Sha256Digest> for ContentDigest {
    fn from(digest: Sha256Digest) -> Self {
        Self::Sha256(digest)
    }
}

/// What was found instead, cut for a message.
fn describe(text: &str) -> String {
    let shown: String = text.chars().take(24).collect();
    if text.is_empty() { "nothing".to_owned() } else { format!("{shown:?} ({} characters)", text.chars().count()) }
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

    #[test]
    fn sha256_is_written_with_its_algorithm_and_read_back() {
        let digest = Sha256Digest::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        for bad in ["", "ba7816bf", "sha256:", "sha512:ba", &text[..70], &format!("{text}0")] {
            assert!(bad.parse::<Sha256Digest>().is_err(), "{bad}");
        }
    }
}
