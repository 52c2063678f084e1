//! Fingerprints of OpenPGP keys.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};

/// The prefix of a fingerprint in fields that otherwise contain a certificate's name: `openpgp4fpr:8F1C…`.
const SCHEME: &str = "openpgp4fpr:";

/// The fingerprint of an OpenPGP key or subkey (RFC 9580 section 5.5.4): 20 bytes for a version 4 key, 32 for a version
/// 6 key. Key IDs, which are shorter, can be forged and are not accepted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Vec<u8>);

/// The text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole fingerprint of 40 or 64 hexadecimal digits, found {found:?}")]
pub struct FingerprintError {
    found: String,
}

impl Fingerprint {
    /// Converts the library's type.
    pub(super) fn of(found: &pgp::types::Fingerprint) -> Self {
        Self(found.as_bytes().to_vec())
    }

    /// Whether it equals a fingerprint of the library's type.
    pub(super) fn is(&self, found: &pgp::types::Fingerprint) -> bool {
        self.0 == found.as_bytes()
    }

    /// The form for fields that otherwise contain a certificate's name (status, messages, `hv:dn`): `openpgp4fpr:` and
    /// the digits.
    pub fn as_name(&self) -> String {
        format!("{SCHEME}{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Parses the digits as `gpg` prints them, with or without spaces between groups, and with or without
    /// `openpgp4fpr:` or `0x` in front.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let refused = || FingerprintError { found: text.chars().take(80).collect() };
        let trimmed = text.trim();
        let is_named = trimmed.get(..SCHEME.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SCHEME));
        let digits = if is_named { &trimmed[SCHEME.len()..] } else { trimmed };
        let digits: String = digits.strip_prefix("0x").unwrap_or(digits).chars().filter(|c| *c != ' ').collect();
        if !matches!(digits.len(), 40 | 64) {
            return Err(refused());
        }
        HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXUPPER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_fingerprint_in_any_spelling_and_nothing_shorter() {
        let plain = "8F1C0D0AB4E0C1D2E3F405162738495A6B7C8D9E";
        let read: Fingerprint = plain.parse().unwrap();
        assert_eq!((read.to_string().as_str(), read.as_name()), (plain, format!("openpgp4fpr:{plain}")));
        let grouped = "8F1C 0D0A B4E0 C1D2 E3F4  0516 2738 495A 6B7C 8D9E";
        for text in [&read.as_name(), grouped, &plain.to_lowercase(), &format!("0x{plain}"), &format!(" {plain}\n")] {
            assert_eq!(text.parse(), Ok(read.clone()), "{text}");
        }
        for text in ["", "0x2738495A", "6B7C8D9E", &plain[1..], &format!("{plain}00"), &plain.replace('0', "g")] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
        assert!(plain.repeat(2)[..64].parse::<Fingerprint>().is_ok(), "a version 6 key");
    }
}
