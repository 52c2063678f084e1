//! Algorithm identifiers (RFC 5280 section 4.1.1.2), and which of them are at least as strong as SHA-2.

use const_oid::ObjectIdentifier;
use der::Decode;
use openssl::asn1::Asn1Object;
use openssl::nid::Nid;

use super::tlv::{self, Reader, Tlv};

/// An algorithm that is not known to be SHA-2 or better. This is an allow list, because several object identifiers mean
/// a signature over MD5, and OpenSSL accepts them all.
const UNKNOWN: &str = "a digest that is not known";
/// `hashAlgs` (NIST CSOR): 1 to 10 are SHA-256, SHA-384, SHA-512, SHA-224, the two truncated forms of SHA-512, and four
/// of SHA-3.
const NIST_HASHES: &str = "2.16.840.1.101.3.4.2.";
/// `hashAlgs` and `sigAlgs` (NIST CSOR): SHA-2, SHA-3, and signatures over them.
const NIST: [&str; 2] = [NIST_HASHES, "2.16.840.1.101.3.4.3."];
/// RSA over SHA-2 (RFC 8017 appendix C), ECDSA over SHA-2 (RFC 5758), `EdDSA` (RFC 8410).
const GOOD: &[&str] = &[
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.113549.1.1.14",
    "1.2.840.113549.1.1.15",
    "1.2.840.113549.1.1.16",
    "1.2.840.10045.4.3.1",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.3.101.112",
    "1.3.101.113",
];
/// Key algorithms, which a `SignerInfo` may name instead of a signature algorithm. Its digest algorithm is in another
/// field.
const KEYS: &[&str] = &["1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.2.840.10040.4.1"];
pub(super) const RSASSA_PSS: &str = "1.2.840.113549.1.1.10";
const SHA1: &[&str] = &[
    "1.3.14.3.2.26",
    "1.3.14.3.2.27",
    "1.3.14.3.2.29",
    "1.2.840.113549.1.1.5",
    "1.2.840.10045.4.1",
    "1.2.840.10040.4.3",
];
const MD5: &[&str] = &["1.2.840.113549.2.5", "1.2.840.113549.1.1.4", "1.3.14.3.2.3"];
const OLDER: &[&str] = &[
    "1.2.840.113549.2.2",
    "1.2.840.113549.2.4",
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.3",
    "1.3.14.3.2.2",
    "1.3.14.3.2.4",
];

/// The name of the weak digest that an algorithm identifier of a certificate or a CRL uses; `None` for SHA-2 and
/// better. For RSA-PSS it is the digest in the parameters (SHA-1 if there are none, RFC 4055 section 3.1).
pub(super) fn weak_digest(algorithm: Tlv<'_>) -> Option<&'static str> {
    let (Some(kind), behind) = parts(algorithm) else { return Some(UNKNOWN) };
    if kind == RSASSA_PSS {
        return weak_digest_of_pss(behind);
    }
    let among = |list: &[&str]| list.contains(&kind.as_str());
    if among(GOOD) || NIST.iter().any(|arc| kind.starts_with(arc)) {
        None
    } else if among(SHA1) {
        Some("SHA-1")
    } else if among(MD5) {
        Some("MD5")
    } else if among(OLDER) {
        Some("MD2 or MD4")
    } else {
        Some(UNKNOWN)
    }
}

fn weak_digest_of_pss(mut behind: Reader<'_>) -> Option<&'static str> {
    let Some(parameters) = behind.optional(tlv::SEQUENCE) else { return Some("SHA-1") };
    match Reader::new(parameters.content).optional(tlv::context(0)) {
        None => Some("SHA-1"),
        Some(tagged) => match tlv::only(tagged.content, tlv::SEQUENCE) {
            // Only a digest is expected here. Refusing a nested RSA-PSS bounds the recursion.
            Some(digest) if parts(digest).0.as_deref() != Some(RSASSA_PSS) => weak_digest(digest),
            Some(_) | None => Some(UNKNOWN),
        },
    }
}

/// The same for the signature algorithm of a `SignerInfo`, which may be a key algorithm.
pub(super) fn weak_digest_of_signer(algorithm: Tlv<'_>) -> Option<&'static str> {
    if parts(algorithm).0.is_some_and(|kind| KEYS.contains(&kind.as_str())) { None } else { weak_digest(algorithm) }
}

/// The digest of an algorithm identifier, if it is MD5, SHA-1, SHA-2 or SHA-3.
pub(super) fn known_digest(algorithm: Tlv<'_>) -> Option<Nid> {
    let kind = parts(algorithm).0?;
    let of_nist = kind.strip_prefix(NIST_HASHES).and_then(|number| number.parse().ok());
    let known = kind == MD5[0] || kind == SHA1[0] || of_nist.is_some_and(|number: u8| (1..=10).contains(&number));
    known.then(|| Asn1Object::from_str(&kind).ok()).flatten().map(|kind| kind.nid())
}

/// The object identifier of an algorithm in dotted form, and a reader of its parameters.
pub(super) fn parts(algorithm: Tlv<'_>) -> (Option<String>, Reader<'_>) {
    let mut inner = Reader::new(algorithm.content);
    let kind = inner.expect(tlv::OBJECT_IDENTIFIER).and_then(|kind| ObjectIdentifier::from_der(kind.whole).ok());
    (kind.map(|kind| kind.to_string()), inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(parts: &[&[u8]]) -> Option<&'static str> {
        let whole = tlv::write(tlv::SEQUENCE, parts);
        weak_digest(tlv::only(&whole, tlv::SEQUENCE).unwrap())
    }

    fn oid(text: &str) -> Vec<u8> {
        tlv::write(tlv::OBJECT_IDENTIFIER, &[ObjectIdentifier::new_unwrap(text).as_bytes()])
    }

    fn pss(hash: &[&[u8]]) -> Vec<u8> {
        let hash = hash.concat();
        let tagged = if hash.is_empty() { Vec::new() } else { tlv::write(tlv::context(0), &[&hash]) };
        tlv::write(tlv::SEQUENCE, &[&tagged])
    }

    #[test]
    fn only_what_is_known_to_be_good_is_taken() {
        let table = [
            ("1.2.840.113549.1.1.11", None),
            ("1.2.840.10045.4.3.2", None),
            ("1.3.101.112", None),
            ("2.16.840.1.101.3.4.2.1", None),
            ("2.16.840.1.101.3.4.3.14", None),
            ("1.2.840.113549.1.1.5", Some("SHA-1")),
            ("1.3.14.3.2.27", Some("SHA-1")),
            ("1.3.14.3.2.29", Some("SHA-1")),
            ("1.2.840.113549.1.1.4", Some("MD5")),
            ("1.3.14.3.2.3", Some("MD5")),
            ("1.3.14.3.2.2", Some("MD2 or MD4")),
            ("1.3.36.3.3.1.2", Some(UNKNOWN)),
            ("1.2.840.113549.1.1.1", Some(UNKNOWN)),
        ];
        for (kind, expected) in table {
            assert_eq!(judged(&[&oid(kind)]), expected, "{kind}");
        }
        assert_eq!(judged(&[]), Some(UNKNOWN));
    }

    #[test]
    fn rsa_pss_is_judged_by_its_parameters() {
        let kind = oid(RSASSA_PSS);
        let hash = |text| tlv::write(tlv::SEQUENCE, &[&oid(text)]);
        assert_eq!(judged(&[&kind]), Some("SHA-1"));
        assert_eq!(judged(&[&kind, &pss(&[])]), Some("SHA-1"));
        assert_eq!(judged(&[&kind, &pss(&[&hash("2.16.840.1.101.3.4.2.1")])]), None);
        assert_eq!(judged(&[&kind, &pss(&[&hash("1.2.840.113549.2.5")])]), Some("MD5"));
        assert_eq!(judged(&[&kind, &pss(&[&hash(RSASSA_PSS)])]), Some(UNKNOWN));
        assert_eq!(judged(&[&kind, &pss(&[b"\x05\x00"])]), Some(UNKNOWN));
    }
}
