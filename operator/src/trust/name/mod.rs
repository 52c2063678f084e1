//! Distinguished names as lists of RDNs, never as strings.

mod attribute;
mod listed;
mod text;
mod value;

use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

use super::tlv::{self, Reader, Tlv};
use value::Value;

/// A distinguished name (X.501): RDNs, most significant first, each a set of attributes with their values.
///
/// Read from a certificate, from a one-line text (`/C=DE/O=…`, escapes `\/`, `\+`, `\xNN`), or from RFC 4514 and
/// RFC 2253 (`CN=…,O=…`), or as OpenSSL 3 prints it (`C = DE, O = …`, also behind `subject=`). Two names are equal when
/// their RDN lists are: same attributes, same values, same order; the order within one RDN does not count. Values are
/// compared as RFC 5280 section 7.1 says: by their characters, whatever the string type; case and runs of spaces do not
/// count. In a one-line text a bare slash belongs to a value only where what follows cannot begin an RDN
/// (`/CN=host/www.example.org`), so `CN=a/CN=b` in one value never equals two RDNs. Shown in OpenSSL's one-line form, in
/// UTF-8 (what is not ASCII as `\xNN`, a backslash in a value as `\x5C`), most significant first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DistinguishedName(Vec<RelativeName>);

/// One RDN: its attributes, sorted, so that their order does not count.
type RelativeName = Vec<(ObjectIdentifier, Value)>;

/// Why a text is no distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a distinguished name such as /C=DE/O=Example/CN=Name, found {found:?}: {why}")]
pub struct NameError {
    found: String,
    why: String,
}

impl DistinguishedName {
    /// The longest text that is read, in bytes.
    pub const MAXIMUM_LENGTH: usize = 4096;

    /// Reads a DER `Name` (RFC 5280 section 4.1.2.4).
    /// An attribute whose number could be taken for another one's makes the name unreadable.
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

    /// The subject of a certificate in DER.
    pub fn of_subject(certificate: &[u8]) -> Option<Self> {
        Self::from_der(super::certificate::subject(certificate)?)
    }

    fn from_list(names: Vec<RelativeName>) -> Self {
        Self(names.into_iter().map(sorted).collect())
    }

    /// A name of octets: of no string type, as texts are.
    fn from_octets(names: Vec<Vec<(ObjectIdentifier, Vec<u8>)>>) -> Self {
        let relative =
            |rdn: Vec<_>| rdn.into_iter().map(|(attribute, value)| (attribute, Value::of_octets(value))).collect();
        Self::from_list(names.into_iter().map(relative).collect())
    }

    /// The name without any RDN, which is nobody's.
    pub(super) fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Whether the name has no RDN at all; such a name names nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The spellings that a pattern of a signing policy may be written in: as it is shown, in OpenSSL's one-line form
    /// (the octets of a `BMPString` and of Latin-1), and in its characters. A slash inside a value is `\/` in all.
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

    /// Whether this is `issuer` with one more `CN`: the shape of every proxy certificate (RFC 3820 section 3.4).
    pub(super) fn extends_by_common_name(&self, issuer: &Self) -> bool {
        let Some((last, rest)) = self.0.split_last() else { return false };
        let common_name = matches!(last.as_slice(), [(attribute, _)] if *attribute == attribute::COMMON_NAME);
        common_name && !rest.is_empty() && rest == issuer.0.as_slice()
    }

    /// The values of the last RDN's common name, for the old proxies that have no extension.
    pub(super) fn last_common_name(&self) -> Option<&str> {
        let last = self.0.last()?;
        last.iter().find(|(attribute, _)| *attribute == attribute::COMMON_NAME).map(|(_, value)| value.text.as_str())
    }
}

/// A pattern of one-line names with each attribute under the name that we show it by (`E=` is `emailAddress=`).
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
