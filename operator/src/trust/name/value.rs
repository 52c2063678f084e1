//! The value of an attribute: its text, regardless of the string type, and the form for comparison.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use unicode_normalization::UnicodeNormalization;

use crate::trust::tlv;

/// A value. Two values are equal if their prepared forms are equal.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Its text in Unicode. For a type that is not a string, its octets as Latin-1.
    pub(super) text: String,
    /// Its octets, if OpenSSL's one-line form shows these instead of the text: `\x00J\x00\xF6`.
    pub(super) octets: Option<Vec<u8>>,
    prepared: Prepared,
}

/// The form for comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Prepared {
    /// Case and the number of spaces are ignored (RFC 5280 section 7.1, RFC 4518, X.520 section 7).
    Folded(String),
    /// Nothing is folded.
    Exact(String),
}

impl Value {
    /// Makes a value from a text. Octets that are not UTF-8 are read as Latin-1, as OpenSSL prints a `T61String` and
    /// broken strings.
    pub(super) fn of_octets(octets: Vec<u8>) -> Self {
        let text = String::from_utf8(octets);
        Self::of_text(text.unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect()))
    }

    fn of_text(text: String) -> Self {
        let prepared = prepare(&text);
        Self { text, octets: None, prepared }
    }

    /// Makes a value from an element of a certificate. A `T61String` is read as Latin-1, as OpenSSL reads it and CAs
    /// write it. If its octets are UTF-8, it is read as UTF-8, because some tools wrote the UTF-8 of a terminal into
    /// it. The other string types with one octet for each character are read in the same way.
    pub(super) fn of_element(tag: u8, octets: &[u8]) -> Self {
        let decoded = match tag {
            tlv::BMP_STRING => from_utf16(octets),
            tlv::UNIVERSAL_STRING => from_utf32(octets),
            _ => {
                let plain = Self::of_octets(octets.to_vec());
                let differs = plain.text.as_bytes() != octets;
                return Self { octets: differs.then(|| octets.to_vec()), ..plain };
            }
        };
        // A broken string, which equals only itself. The replacement character in front is in no other name.
        let broken = || std::iter::once('\u{fffd}').chain(octets.iter().copied().map(char::from)).collect();
        let value = Self::of_text(decoded.unwrap_or_else(broken));
        // Octets that are all printable are not displayed, because they would look like another name.
        let shown_as_octets = octets.iter().any(|octet| !matches!(octet, b' '..=b'~'));
        Self { octets: shown_as_octets.then(|| octets.to_vec()), ..value }
    }

    /// The octets that OpenSSL's one-line form shows.
    pub(super) fn shown_octets(&self) -> &[u8] {
        self.octets.as_deref().unwrap_or(self.text.as_bytes())
    }
}

fn from_utf16(octets: &[u8]) -> Option<String> {
    let (pairs, rest) = octets.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
}

fn from_utf32(octets: &[u8]) -> Option<String> {
    let (quads, rest) = octets.as_chunks::<4>();
    let text = quads.iter().map(|quad| char::from_u32(u32::from_be_bytes(*quad))).collect();
    if rest.is_empty() { text } else { None }
}

/// Prepares a text for comparison. If preparation would do more than fold case and spaces (remove invisible characters,
/// or replace a character by one that looks similar), the text is compared exactly, so that no name equals one that
/// only looks the same.
fn prepare(text: &str) -> Prepared {
    let composed: String = text.trim_matches(' ').nfc().collect();
    if composed.is_empty() {
        return Prepared::Folded(composed);
    }
    let ordinary = stringprep::x520prep(&composed, false).is_ok_and(|prepared| prepared == composed);
    match stringprep::x520prep(&composed, true) {
        Ok(folded) if ordinary => {
            let words: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
            Prepared::Folded(words.join(" "))
        }
        Ok(_) | Err(_) => Prepared::Exact(composed),
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.prepared == other.prepared
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.prepared.hash(state);
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prepared.cmp(&other.prepared)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T61_STRING: u8 = 0x14;
    const UTF8_STRING: u8 = 0x0c;

    fn any(tag: u8, octets: &[u8]) -> Value {
        Value::of_element(tag, octets)
    }

    fn text(text: &str) -> Value {
        Value::of_octets(text.as_bytes().to_vec())
    }

    #[test]
    fn case_spaces_and_composition_are_folded() {
        for (one, other) in [("Grid  CA ", "grid ca"), ("JÖRG", "jo\u{308}rg"), ("Straße", "STRASSE"), (" ", "  ")] {
            assert_eq!(text(one), text(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let erin = text("Erin Endorser");
        let others = [
            "ErinEndorser",
            "Erin\u{200b} Endorser",
            "Erin\u{ad} Endorser",
            "Erin\u{a0}Endorser",
            "Erin\tEndorser",
            "Erin\nEndorser",
            "Erin\0 Endorser",
            "Erin Endorser\0",
            "Erin Endorser\u{202e}",
            "Ｅrin Endorser",
            "Erın Endorser",
            "Εrin Endorser",
            "Erin Endorſer",
            "Erin Endorser\u{feff}",
            "Erin Endorser\u{301}",
            "",
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(text(other), erin, "{other:?}");
            for second in &others[index + 1..] {
                assert_ne!(text(other), text(second), "{other:?} {second:?}");
            }
        }
    }

    #[test]
    fn broken_strings_equal_themselves_alone() {
        let odd = any(tlv::BMP_STRING, b"Erin Endorser");
        let lone = any(tlv::BMP_STRING, b"\x00E\xd8\x00");
        let other = any(tlv::BMP_STRING, b"\x00E\xd8\x01");
        assert_ne!(odd, text("Erin Endorser"));
        assert_ne!(lone, other);
        assert_eq!(lone, any(tlv::BMP_STRING, b"\x00E\xd8\x00"));
        assert_ne!(lone, text("E\u{fffd}"));
    }

    #[test]
    fn octets_are_kept_where_openssl_shows_them() {
        assert_eq!(any(T61_STRING, b"J\xf6rg").shown_octets(), b"J\xf6rg");
        assert_eq!(any(tlv::BMP_STRING, b"\x00J\x00\xf6").shown_octets(), b"\x00J\x00\xf6");
        assert_eq!(any(tlv::BMP_STRING, b"Fooo").shown_octets(), "\u{466f}\u{6f6f}".as_bytes(), "spells no other name");
        assert_eq!(any(UTF8_STRING, "Jörg".as_bytes()).shown_octets(), "Jörg".as_bytes());
    }
}
