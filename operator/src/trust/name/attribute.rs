//! The attributes of names: their object identifiers and the names that texts use for them.

use const_oid::ObjectIdentifier;

/// RDNs, most significant first, with the octets of their values.
pub(super) type Names = Vec<Vec<(ObjectIdentifier, Vec<u8>)>>;

/// `CN` (X.520).
pub(super) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Object identifier, the name that OpenSSL prints, and other names that are accepted. Names are compared without
/// regard to case.
/// Sources: RFC 4514 section 3, RFC 4519, RFC 2985, and the names that grid software writes (`E`, `EMAIL`, `USERID`).
const ATTRIBUTES: &[(ObjectIdentifier, &str, &[&str])] = &[
    (COMMON_NAME, "CN", &["commonName"]),
    (oid("2.5.4.4"), "SN", &["surname"]),
    (oid("2.5.4.5"), "serialNumber", &[]),
    (oid("2.5.4.6"), "C", &["countryName"]),
    (oid("2.5.4.7"), "L", &["localityName"]),
    (oid("2.5.4.8"), "ST", &["S", "stateOrProvinceName"]),
    (oid("2.5.4.9"), "street", &["streetAddress"]),
    (oid("2.5.4.10"), "O", &["organizationName"]),
    (oid("2.5.4.11"), "OU", &["organizationalUnitName"]),
    (oid("2.5.4.12"), "title", &["T"]),
    (oid("2.5.4.13"), "description", &[]),
    (oid("2.5.4.15"), "businessCategory", &[]),
    (oid("2.5.4.16"), "postalAddress", &[]),
    (oid("2.5.4.17"), "postalCode", &[]),
    (oid("2.5.4.20"), "telephoneNumber", &[]),
    (oid("2.5.4.41"), "name", &[]),
    (oid("2.5.4.42"), "GN", &["givenName", "G"]),
    (oid("2.5.4.43"), "initials", &[]),
    (oid("2.5.4.44"), "generationQualifier", &[]),
    (oid("2.5.4.45"), "x500UniqueIdentifier", &[]),
    (oid("2.5.4.46"), "dnQualifier", &[]),
    (oid("2.5.4.65"), "pseudonym", &[]),
    (oid("2.5.4.97"), "organizationIdentifier", &[]),
    (oid("0.9.2342.19200300.100.1.1"), "UID", &["userId"]),
    (oid("0.9.2342.19200300.100.1.3"), "mail", &["rfc822Mailbox"]),
    (oid("0.9.2342.19200300.100.1.25"), "DC", &["domainComponent"]),
    (oid("1.2.840.113549.1.9.1"), "emailAddress", &["E", "Email"]),
    (oid("1.2.840.113549.1.9.2"), "unstructuredName", &[]),
    (oid("1.2.840.113549.1.9.8"), "unstructuredAddress", &[]),
    (oid("1.3.6.1.4.1.311.60.2.1.1"), "jurisdictionL", &[]),
    (oid("1.3.6.1.4.1.311.60.2.1.2"), "jurisdictionST", &[]),
    (oid("1.3.6.1.4.1.311.60.2.1.3"), "jurisdictionC", &[]),
];

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// The text before a `=`.
pub(super) enum Keyword {
    /// A known attribute.
    Known(ObjectIdentifier),
    /// Has the syntax of an attribute, but is not known.
    Unknown,
    /// Does not have the syntax of an attribute (RFC 4512 section 1.4: `descr`, `numericoid`).
    Impossible,
}

pub(super) fn keyword(text: &str) -> Keyword {
    let known = |(_, name, others): &&(ObjectIdentifier, &str, &[&str])| {
        name.eq_ignore_ascii_case(text) || others.iter().any(|other| other.eq_ignore_ascii_case(text))
    };
    if let Some((attribute, _, _)) = ATTRIBUTES.iter().find(known) {
        return Keyword::Known(*attribute);
    }
    let number = text.strip_prefix("OID.").or_else(|| text.strip_prefix("oid.")).unwrap_or(text);
    if number.contains('.') && number.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        // The library's parser overflows on longer arcs. No attribute has them.
        let readable = number.split('.').all(|arc| (1..=9).contains(&arc.len()));
        let read = readable.then(|| ObjectIdentifier::new(number).ok()).flatten().filter(is_sound);
        return read.map_or(Keyword::Unknown, Keyword::Known);
    }
    let starts = text.bytes().next().is_some_and(|c| c.is_ascii_alphabetic());
    if starts && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
        Keyword::Unknown
    } else {
        Keyword::Impossible
    }
}

/// Whether an object identifier is displayed correctly. The library parses arcs from 2^28 on but cannot display them,
/// and it displays some identifiers from DER as others.
pub(super) fn is_sound(attribute: &ObjectIdentifier) -> bool {
    let same = |read: ObjectIdentifier| ObjectIdentifier::new(&read.to_string()) == Ok(read);
    short_name(attribute).is_some() || ObjectIdentifier::from_bytes(attribute.as_bytes()).is_ok_and(same)
}

/// The name that OpenSSL prints for an attribute. `None` for others, which are shown as object identifiers.
pub(super) fn short_name(attribute: &ObjectIdentifier) -> Option<&'static str> {
    ATTRIBUTES.iter().find(|(known, _, _)| known == attribute).map(|(_, name, _)| *name)
}

/// The byte of two hexadecimal digits in a text.
pub(super) fn hex_pair(high: u8, low: u8) -> u8 {
    let digit = |c: u8| char::from(c).to_digit(16).map_or(0, |n| u8::try_from(n).unwrap_or(0));
    digit(high) << 4 | digit(low)
}
