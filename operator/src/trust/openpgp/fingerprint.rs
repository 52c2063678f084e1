//! Fingerprints of OpenPGP keys.

use std::fmt;
use std::str::FromStr;

/// The scheme under which a fingerprint is written where a name is expected: `openpgp4fpr:8F1C…`.
const SCHEME: &str = "openpgp4fpr:";

/// The fingerprint of an OpenPGP key or subkey (RFC 9580 section 5.5.4): 20 bytes of a version 4 key, 32 of a
/// version 6 key. Shorter names of keys can be forged and are never taken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Vec<u8>);

/// Why a text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole fingerprint of 40 or 64 hexadecimal digits, found {found:?}")]
pub struct FingerprintError {
    found: String,
}

impl Fingerprint {
    /// The fingerprint that the library found.
    pub(super) fn of(found: &pgp::types::Fingerprint) -> Self {
        Self(found.as_bytes().to_vec())
    }

    /// Whether it is the one that the library found.
    pub(super) fn is(&self, found: &pgp::types::Fingerprint) -> bool {
        self.0 == found.as_bytes()
    }

    /// As it stands where names of certificates stand (status, messages, `hv:dn`): `openpgp4fpr:` and the digits.
    pub fn as_name(&self) -> String {
        format!("{SCHEME}{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads the digits as `gpg` prints them, in groups or not, with `openpgp4fpr:` or `0x` before them or not.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let refused = || FingerprintError { found: text.chars().take(80).collect() };
        let trimmed = text.trim();
        let is_named = trimmed.get(..SCHEME.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SCHEME));
        let digits = if is_named { &trimmed[SCHEME.len()..] } else { trimmed };
        let digits: String = digits.strip_prefix("0x").unwrap_or(digits).chars().filter(|c| *c != ' ').collect();
        if !matches!(digits.len(), 40 | 64) {
            return Err(refused());
        }
        hex::decode(&digits).map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(&self.0))
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
