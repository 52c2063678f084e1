//! Certificate revocation lists (RFC 5280 section 5), read in place. The entries are read directly from the bytes,
//! without an allocation for each, because a CRL can have 100,000 of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Mutex;

use const_oid::ObjectIdentifier;
use der::Decode;
use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;
use openssl::x509::X509Crl;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::time::Time;

use super::algorithm::weak_digest;
use super::certificate::{Certificate, timestamp, without_leading_zeros};
use super::tlv::{self, Reader, Tlv};
use super::{DistinguishedName, Sha256Digest};

const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 0x15];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];

/// A CRL whose structure was checked. Its signature is checked against the issuer's key when a path needs it, once for
/// each key.
#[derive(Debug)]
pub(super) struct Crl {
    bytes: Vec<u8>,
    issuer: DistinguishedName,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
    algorithm: ObjectIdentifier,
    weak_digest: Option<&'static str>,
    scope: Option<IssuingDistributionPoint>,
    verified: Mutex<BTreeMap<Sha256Digest, bool>>,
}

/// An entry of a CRL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revocation {
    /// The `reasonCode` (RFC 5280 section 5.3.1), if there is one.
    pub(super) reason: Option<u8>,
}

impl Revocation {
    /// The name of the reason in RFC 5280.
    pub(super) fn reason_name(self) -> &'static str {
        match self.reason {
            Some(1) => "keyCompromise",
            Some(2) => "cACompromise",
            Some(3) => "affiliationChanged",
            Some(4) => "superseded",
            Some(5) => "cessationOfOperation",
            Some(6) => "certificateHold",
            Some(9) => "privilegeWithdrawn",
            Some(10) => "aACompromise",
            _ => "unspecified",
        }
    }

    /// Whether the certificate is only out of use and its key is not reported as misused. Such a reason freezes the
    /// list; the other reasons withdraw it.
    pub(super) fn is_benign_revocation(self) -> bool {
        matches!(self.reason, Some(3..=5))
    }
}

/// The newest CRL that an authority signed. CRLs whose `thisUpdate` has been reached are preferred. Signatures are
/// checked from the newest on, until one is valid.
pub(super) fn newest_signed<'a>(
    crls: impl Iterator<Item = &'a Crl>,
    issuer: &Certificate,
    at: Timestamp,
) -> Option<&'a Crl> {
    let mut crls: Vec<&Crl> = crls.collect();
    crls.sort_by_key(|crl| Reverse((crl.this_update <= at, crl.this_update)));
    crls.into_iter().find(|crl| crl.is_signed_by(issuer))
}

impl Crl {
    /// Reads DER. The error is a description of what was found.
    pub(super) fn from_der(bytes: Vec<u8>) -> Result<Self, String> {
        let shape = Shape::of(&bytes).ok_or("no CRL of RFC 5280 section 5.1")?;
        let scope = shape.check_extensions()?;
        each_entry(shape.entries, |entry| entry.critical_extension())?;
        let issuer = DistinguishedName::from_der(shape.issuer).ok_or("an issuer that is no name")?;
        let algorithm = shape.algorithm().ok_or("no signature algorithm, or two different ones")?;
        let this_update = time(shape.this_update).ok_or("no thisUpdate that is a time")?;
        let next_update = time(shape.next_update).ok_or("no nextUpdate that is a time")?;
        let weak_digest = tlv::only(shape.algorithms[1], tlv::SEQUENCE).and_then(weak_digest);
        let verified = Mutex::default();
        Ok(Self { bytes, issuer, this_update, next_update, algorithm, weak_digest, scope, verified })
    }

    /// The name of the issuer.
    pub(super) fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// The CRL in DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.bytes
    }

    /// The CRL number without leading zeros, if there is one.
    pub(super) fn number(&self) -> Option<Vec<u8>> {
        let found = tlv::extensions(Shape::of(&self.bytes)?.extensions)?;
        let value = found.iter().find(|extension| extension.kind == CRL_NUMBER)?.value;
        Some(without_leading_zeros(tlv::only(value, tlv::INTEGER)?.content).to_vec())
    }

    /// The entry of this serial number, if there is one. `serial` has no leading zeros. An entry with the reason
    /// `removeFromCRL` (8) does not count.
    pub(super) fn entry(&self, serial: &[u8]) -> Option<Revocation> {
        let mut found = None;
        let _ = each_entry(Shape::of(&self.bytes)?.entries, |entry| {
            if without_leading_zeros(entry.serial) == serial {
                found = Some(Revocation { reason: entry.reason() });
            }
            Ok(())
        });
        found.filter(|revocation| revocation.reason != Some(8))
    }

    /// Whether the CRL covers this certificate (RFC 5280 section 5.2.5): its kind (user or CA certificate), and its
    /// distribution points. A CRL that is limited to a distribution point does not cover a certificate that names other
    /// ones only.
    pub(super) fn speaks_of(&self, certificate: &Certificate) -> bool {
        let Some(scope) = &self.scope else { return true };
        let kind = match (scope.only_contains_user_certs, scope.only_contains_ca_certs) {
            (false, false) => true,
            (user, authority) => (user && !certificate.is_authority) || (authority && certificate.is_authority),
        };
        let point = match (&scope.distribution_point, &certificate.crl_points) {
            (Some(own), Some(points)) => {
                points.0.iter().any(|point| share_a_name(own, point.distribution_point.as_ref()))
            }
            (Some(_), None) | (None, _) => true,
        };
        kind && point && !scope.only_contains_attribute_certs
    }

    /// Whether the issuer's key signed it. The result is cached by key, because it cannot change.
    pub(super) fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let known = self.verified.lock().ok().and_then(|verified| verified.get(&issuer.key).copied());
        known.unwrap_or_else(|| {
            let answer = issuer.x509.public_key().is_ok_and(|key| self.check_signature(&key).unwrap_or(false));
            if let Ok(mut verified) = self.verified.lock() {
                verified.insert(issuer.key, answer);
            }
            answer
        })
    }

    fn check_signature(&self, key: &PKey<Public>) -> Result<bool, openssl::error::ErrorStack> {
        let Some(Shape { signed, signature, .. }) = Shape::of(&self.bytes) else { return Ok(false) };
        // SHA-1 is accepted, because the CA chooses every octet of a CRL. A digest that can be forged, such as MD5,
        // would allow a forged CRL.
        if self.weak_digest.is_some_and(|name| name != "SHA-1") {
            return Ok(false);
        }
        match signature_digest(&self.algorithm) {
            SignatureKind::Digest(digest) => Verifier::new(digest, key)?.verify_oneshot(signature, signed),
            SignatureKind::Whole => Verifier::new_without_digest(key)?.verify_oneshot(signature, signed),
            SignatureKind::Other => X509Crl::from_der(&self.bytes)?.verify(key),
        }
    }
}

/// How a signature algorithm is checked.
enum SignatureKind {
    /// RSA (PKCS #1 v1.5) or ECDSA over this digest.
    Digest(MessageDigest),
    /// `EdDSA`, over the whole CRL without a separate digest.
    Whole,
    /// Others (RSA-PSS). OpenSSL's own CRL parser checks them, which is slower.
    Other,
}

fn signature_digest(algorithm: &ObjectIdentifier) -> SignatureKind {
    match algorithm.to_string().as_str() {
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => SignatureKind::Digest(MessageDigest::sha1()),
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => SignatureKind::Digest(MessageDigest::sha224()),
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => SignatureKind::Digest(MessageDigest::sha256()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => SignatureKind::Digest(MessageDigest::sha384()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => SignatureKind::Digest(MessageDigest::sha512()),
        "1.3.101.112" | "1.3.101.113" => SignatureKind::Whole,
        _ => SignatureKind::Other,
    }
}

/// Whether two distribution points share a name.
fn share_a_name(
    own: &x509_cert::ext::pkix::name::DistributionPointName,
    other: Option<&x509_cert::ext::pkix::name::DistributionPointName>,
) -> bool {
    use x509_cert::ext::pkix::name::DistributionPointName::{FullName, NameRelativeToCRLIssuer};
    match (own, other) {
        (FullName(own), Some(FullName(names))) => own.iter().any(|name| names.contains(name)),
        (NameRelativeToCRLIssuer(own), Some(NameRelativeToCRLIssuer(name))) => own == name,
        (FullName(_), Some(NameRelativeToCRLIssuer(_)))
        | (NameRelativeToCRLIssuer(_), Some(FullName(_)))
        | (_, None) => false,
    }
}

/// The parts of a CRL.
struct Shape<'a> {
    signed: &'a [u8],
    issuer: &'a [u8],
    this_update: Tlv<'a>,
    next_update: Tlv<'a>,
    entries: &'a [u8],
    extensions: &'a [u8],
    algorithms: [&'a [u8]; 2],
    signature: &'a [u8],
}

impl<'a> Shape<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(tlv::only(bytes, tlv::SEQUENCE)?.content);
        let list = outer.expect(tlv::SEQUENCE)?;
        let algorithm = outer.expect(tlv::SEQUENCE)?;
        let signature = outer.expect(tlv::BIT_STRING)?.content.strip_prefix(&[0])?;
        let mut inner = Reader::new(list.content);
        inner.optional(tlv::INTEGER);
        let inner_algorithm = inner.expect(tlv::SEQUENCE)?;
        let issuer = inner.expect(tlv::SEQUENCE)?.whole;
        let this_update = inner.next()?;
        let next_update = inner.next()?;
        let entries = inner.optional(tlv::SEQUENCE).map_or(&bytes[..0], |entries| entries.content);
        let extensions = match inner.optional(tlv::context(0)) {
            Some(tagged) => tlv::only(tagged.content, tlv::SEQUENCE)?.content,
            None => &[],
        };
        let whole = outer.is_empty() && inner.is_empty();
        let algorithms = [inner_algorithm.whole, algorithm.whole];
        let shape =
            Self { signed: list.whole, issuer, this_update, next_update, entries, extensions, algorithms, signature };
        whole.then_some(shape)
    }

    /// The signature algorithm. Both algorithm fields must be the same (RFC 5280 section 5.1.1.2).
    fn algorithm(&self) -> Option<ObjectIdentifier> {
        let [inner, outer] = self.algorithms;
        let identifier = Reader::new(tlv::only(outer, tlv::SEQUENCE)?.content).expect(tlv::OBJECT_IDENTIFIER)?;
        (inner == outer).then(|| ObjectIdentifier::from_bytes(identifier.content).ok())?
    }

    /// Checks the extensions, and returns the issuing distribution point. A CRL with an unknown critical extension must
    /// not be used (RFC 5280 section 5.2).
    fn check_extensions(&self) -> Result<Option<IssuingDistributionPoint>, String> {
        let mut scope = None;
        for extension in tlv::extensions(self.extensions).ok_or("extensions that cannot be read")? {
            if extension.kind == ISSUING_DISTRIBUTION_POINT {
                let point = IssuingDistributionPoint::from_der(extension.value)
                    .map_err(|error| format!("an issuing distribution point that cannot be read: {error}"))?;
                if point.indirect_crl || point.only_some_reasons.is_some() {
                    return Err("an indirect CRL, or one of some reasons only, which is not supported".to_owned());
                }
                scope = Some(point);
            } else if extension.kind == DELTA_CRL_INDICATOR {
                return Err("a delta CRL, which is not supported".to_owned());
            } else if extension.critical {
                let kind =
                    ObjectIdentifier::from_bytes(extension.kind).map_or_else(|_| "?".to_owned(), |k| k.to_string());
                return Err(format!("the critical extension {kind}, which is not understood"));
            }
        }
        Ok(scope)
    }
}

/// One entry, not decoded.
struct Entry<'a> {
    serial: &'a [u8],
    extensions: &'a [u8],
}

impl Entry<'_> {
    fn critical_extension(&self) -> Result<(), &'static str> {
        if self.extensions.is_empty() {
            return Ok(());
        }
        let found = tlv::extensions(self.extensions).ok_or("an entry whose extensions cannot be read")?;
        let unknown = found.iter().any(|extension| extension.critical && extension.kind != REASON_CODE);
        if unknown { Err("an entry with a critical extension, which is not understood") } else { Ok(()) }
    }

    fn reason(&self) -> Option<u8> {
        let found = tlv::extensions(self.extensions)?;
        let value = found.iter().find(|extension| extension.kind == REASON_CODE)?.value;
        tlv::only(value, tlv::ENUMERATED)?.content.last().copied()
    }
}

/// Calls a function for each entry of a CRL.
fn each_entry<'a>(
    entries: &'a [u8],
    mut visit: impl FnMut(Entry<'a>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let mut reader = Reader::new(entries);
    while !reader.is_empty() {
        let entry = reader.expect(tlv::SEQUENCE).ok_or("an entry that cannot be read")?;
        let mut inner = Reader::new(entry.content);
        let serial = inner.expect(tlv::INTEGER).ok_or("an entry without a serial number")?.content;
        let date = inner.next().ok_or("an entry without a date")?;
        let extensions = inner.optional(tlv::SEQUENCE).map_or(&entry.content[..0], |found| found.content);
        if !inner.is_empty() || !matches!(date.tag, tlv::UTC_TIME | tlv::GENERALIZED_TIME) {
            return Err("an entry that cannot be read");
        }
        visit(Entry { serial, extensions })?;
    }
    Ok(())
}

fn time(element: Tlv<'_>) -> Option<Timestamp> {
    Time::from_der(element.whole).ok().map(timestamp)
}
