//! Distinguished names as lists of RDNs, not as strings.

mod attribute;
mod listed;
mod text;
mod value;

use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

use value::Value;

use super::tlv::{self, Reader, Tlv};

/// A distinguished name (X.501): RDNs, most significant first, each a set of attributes with their values.
///
/// It is parsed from a certificate, from a one-line text (`/C=DE/O=…`, escapes `\/`, `\+`, `\xNN`), from RFC 4514 and
/// RFC 2253 (`CN=…,O=…`), or from the output of OpenSSL 3 (`C = DE, O = …`, also after `subject=`). Two names are equal
/// if their RDN lists are equal: same attributes, same values, same order. The order within one RDN does not matter.
/// Values are compared as in RFC 5280 section 7.1: by their characters, regardless of the string type, of case, and of
/// the number of spaces. In a one-line text a bare slash is part of a value only if the text after it cannot begin an
/// RDN (`/CN=host/www.example.org`), so `CN=a/CN=b` in one value never equals two RDNs. Names are displayed in
/// OpenSSL's one-line form, most significant RDN first, in UTF-8 with `\xNN` for each byte that is not ASCII and `\x5C`
/// for a backslash in a value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DistinguishedName(Vec<RelativeName>);

/// One RDN: its attributes, sorted, because their order does not matter.
type RelativeName = Vec<(ObjectIdentifier, Value)>;

/// The text is not a distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a distinguished name such as /C=DE/O=Example/CN=Name, found {found:?}: {why}")]
pub struct NameError {
    found: String,
    why: String,
}

impl DistinguishedName {
    /// The maximum length of a text, in bytes.
    pub const MAXIMUM_LENGTH: usize = 4096;

    /// Parses a DER `Name` (RFC 5280 section 4.1.2.4). `None` if it cannot be parsed, or if the object identifier of an
    /// attribute could be displayed as another one.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let relative = |rdn: Tlv<'_>| -> Option<RelativeName> {
            let set = Some(rdn).filter(|rdn| rdn.tag == tlv::SET)?;
            let pairs = Reader::new(set.content).all()?;
            let pairs: Option<RelativeName> = pairs.into_iter().map(attribute_value).collect();
            pairs.filter(|pairs| !pairs.is_empty())
        };
        let names = Reader::new(tlv::only(der, tlv::SEQUENCE)?.content).all()?;
        names.into_iter().map(relative).collect::<Option<_>>().map(Self::from_list)
    }

    fn from_list(names: Vec<RelativeName>) -> Self {
        Self(names.into_iter().map(sorted).collect())
    }

    /// Makes a name from octets without a string type, as texts have.
    fn from_octets(names: Vec<Vec<(ObjectIdentifier, Vec<u8>)>>) -> Self {
        let relative =
            |rdn: Vec<_>| rdn.into_iter().map(|(attribute, value)| (attribute, Value::of_octets(value))).collect();
        Self::from_list(names.into_iter().map(relative).collect())
    }

    /// The name without any RDN. It identifies nobody.
    pub(super) fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Whether the name has no RDN. Such a name identifies nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The spellings that a pattern of a signing policy may use: the displayed form, OpenSSL's one-line form (with the
    /// octets of `BMPString` and Latin-1), and the form with Unicode characters. A slash inside a value is `\/` in all
    /// of them.
    pub(super) fn spellings(&self) -> Vec<String> {
        let shown = self.to_string();
        let octets = self.written(|f, value| text::write_octets(f, value.shown_octets()));
        let characters = self.written(|f, value| text::write_characters(f, &value.text));
        let mut all = vec![shown];
        for other in [octets, characters] {
            if !all.contains(&other) {
                all.push(other);
            }
        }
        all
    }

    fn written(&self, value: impl Fn(&mut String, &Value) -> fmt::Result) -> String {
        let mut written = String::new();
        let _ = self.write(&mut written, value);
        written
    }

    fn write<W: fmt::Write>(&self, f: &mut W, write_value: impl Fn(&mut W, &Value) -> fmt::Result) -> fmt::Result {
        for relative in &self.0 {
            for (index, (attribute, value)) in relative.iter().enumerate() {
                f.write_char(if index == 0 { '/' } else { '+' })?;
                match attribute::short_name(attribute) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "{attribute}")?,
                }
                f.write_char('=')?;
                write_value(f, value)?;
            }
        }
        Ok(())
    }

    /// Whether this is `issuer` with one more `CN`. Every proxy certificate has such a subject (RFC 3820 section 3.4).
    pub(super) fn extends_by_common_name(&self, issuer: &Self) -> bool {
        let Some((last, rest)) = self.0.split_last() else { return false };
        let common_name = matches!(last.as_slice(), [(attribute, _)] if *attribute == attribute::COMMON_NAME);
        common_name && !rest.is_empty() && rest == issuer.0.as_slice()
    }

    /// The common name in the last RDN, to recognise old proxies without an extension.
    pub(super) fn last_common_name(&self) -> Option<&str> {
        let last = self.0.last()?;
        last.iter().find(|(attribute, _)| *attribute == attribute::COMMON_NAME).map(|(_, value)| value.text.as_str())
    }
}

/// A pattern of one-line names in which each attribute has the name that is displayed (`E=` becomes `emailAddress=`).
pub(super) fn canonical_attributes(pattern: &str) -> String {
    let component = |component: &str| {
        let Some((name, value)) = component.split_once('=') else { return component.to_owned() };
        match attribute::keyword(name) {
            attribute::Keyword::Known(kind) => match attribute::short_name(&kind) {
                Some(name) => format!("{name}={value}"),
                None => component.to_owned(),
            },
            attribute::Keyword::Unknown | attribute::Keyword::Impossible => component.to_owned(),
        }
    };
    pattern.split('/').map(component).collect::<Vec<_>>().join("/")
}

fn sorted(mut relative: RelativeName) -> RelativeName {
    relative.sort();
    relative
}

fn attribute_value(pair: Tlv<'_>) -> Option<(ObjectIdentifier, Value)> {
    let mut inner = Reader::new(Some(pair).filter(|pair| pair.tag == tlv::SEQUENCE)?.content);
    let attribute = ObjectIdentifier::from_bytes(inner.expect(tlv::OBJECT_IDENTIFIER)?.content).ok()?;
    let value = inner.next()?;
    let sound = inner.is_empty() && attribute::is_sound(&attribute);
    sound.then(|| (attribute, Value::of_element(value.tag, value.content)))
}

impl FromStr for DistinguishedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text::parse(text).map_err(|why| NameError { found: text.chars().take(200).collect(), why })
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |f, value| text::write_octets(f, value.text.as_bytes()))
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
