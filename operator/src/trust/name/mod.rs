//! Distinguished names as lists of RDNs, never as strings.

mod attribute;
mod text;

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use const_oid::ObjectIdentifier;
use der::{Decode, Tag, Tagged};
use x509_cert::name::RdnSequence;

/// A distinguished name (X.501): RDNs, most significant first, each a set of attributes with their values.
///
/// Read from a certificate, from a one-line text (`/C=DE/O=…`, escapes `\/`, `\+`, `\xNN`), or from RFC 4514 and
/// RFC 2253 (`CN=…,O=…`). Two names are equal when their RDN lists are: same attributes, same value bytes, same order;
/// the string type of a value and the order within one RDN do not count. In a one-line text a bare slash belongs to a
/// value only where what follows cannot begin an RDN (`/CN=host/www.example.org`), so `CN=a/CN=b` in one value never
/// equals two RDNs. Shown in OpenSSL's one-line form (a backslash in a value as `\x5C`), most significant first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DistinguishedName(Vec<RelativeName>);

/// One RDN: its attributes, sorted, so that their order does not count.
type RelativeName = Vec<(ObjectIdentifier, Vec<u8>)>;

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
    pub(super) fn from_der(der: &[u8]) -> Result<Self, der::Error> {
        RdnSequence::from_der(der).and_then(|names| Self::from_rdns(&names))
    }

    /// The subject of a certificate in DER.
    pub fn of_subject(certificate: &[u8]) -> Result<Self, der::Error> {
        let read = x509_cert::Certificate::from_der(certificate)?;
        Self::from_rdns(&read.tbs_certificate.subject)
    }

    /// An attribute whose number could be taken for another one's is an error.
    pub(super) fn from_rdns(names: &RdnSequence) -> Result<Self, der::Error> {
        let attributes = || names.0.iter().flat_map(|rdn| rdn.0.iter()).map(|pair| &pair.oid);
        if !attributes().all(attribute::is_sound) {
            return Err(Tag::ObjectIdentifier.value_error());
        }
        let relative = |rdn: &x509_cert::name::RelativeDistinguishedName| {
            sorted(rdn.0.iter().map(|pair| (pair.oid, value_bytes(&pair.value))).collect())
        };
        Ok(Self(names.0.iter().map(relative).collect()))
    }

    fn from_list(names: Vec<RelativeName>) -> Self {
        Self(names.into_iter().map(sorted).collect())
    }

    /// The name without any RDN, which is nobody's.
    pub(super) fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Whether the name has no RDN at all; such a name names nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A key under which names are the same that RFC 5280 section 7.1 calls the same: case and runs of white space
    /// do not count. Finds the CRLs of an issuer; never decides who a signer is.
    pub(super) fn folded(&self) -> String {
        let mut key = String::new();
        for relative in &self.0 {
            key.push('/');
            for (attribute, value) in relative {
                let text = String::from_utf8_lossy(value).to_lowercase();
                let words: Vec<&str> = text.split_whitespace().collect();
                let _ = write!(key, "+{attribute}={}", words.join(" ").replace(['/', '+'], "\\"));
            }
        }
        key
    }

    /// Whether this is `issuer` with one more `CN`: the shape of every proxy certificate (RFC 3820 section 3.4).
    pub(super) fn extends_by_common_name(&self, issuer: &Self) -> bool {
        let Some((last, rest)) = self.0.split_last() else { return false };
        let common_name = matches!(last.as_slice(), [(attribute, _)] if *attribute == attribute::COMMON_NAME);
        common_name && !rest.is_empty() && rest == issuer.0.as_slice()
    }

    /// The values of the last RDN's common name, for the old proxies that have no extension.
    pub(super) fn last_common_name(&self) -> Option<&[u8]> {
        let last = self.0.last()?;
        last.iter().find(|(attribute, _)| *attribute == attribute::COMMON_NAME).map(|(_, value)| value.as_slice())
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

/// The text of a value in UTF-8, whatever string type it has; other types as their content stands.
fn value_bytes(value: &der::Any) -> Vec<u8> {
    let content = value.value();
    match value.tag() {
        Tag::BmpString => {
            let units: Vec<u16> = content.chunks(2).map(|c| c.iter().fold(0, |n, b| n << 8 | u16::from(*b))).collect();
            String::from_utf16_lossy(&units).into_bytes()
        }
        _ => content.to_vec(),
    }
}

impl FromStr for DistinguishedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text::parse(text).map(Self::from_list).map_err(|why| NameError { found: text.chars().take(200).collect(), why })
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for relative in &self.0 {
            for (index, (attribute, value)) in relative.iter().enumerate() {
                f.write_char(if index == 0 { '/' } else { '+' })?;
                match attribute::short_name(attribute) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "{attribute}")?,
                }
                f.write_char('=')?;
                text::write_value(f, value)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
