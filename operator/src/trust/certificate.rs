//! A certificate. OpenSSL parses it for paths and signatures; this module parses its DER for names and extensions.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Decode;
use jiff::Timestamp;
use openssl::x509::X509;
use x509_cert::ext::pkix::{BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use x509_cert::time::Time;

use super::algorithm::weak_digest;
use super::tlv::{self, Extension, Reader};
use super::{DistinguishedName, Sha256Digest};

/// The object identifiers of `proxyCertInfo`: the one of RFC 3820, and the one of its drafts.
const PROXY_INFORMATION: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.14"), ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3536.1.222")];

/// `issuerUniqueID` and `subjectUniqueID` (RFC 5280 section 4.1.2.8).
const UNIQUE_IDENTIFIERS: [u8; 2] = [0x81, 0x82];

/// A certificate (RFC 5280) with the fields that the rules need.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The certificate as OpenSSL parsed it.
    pub(super) x509: X509,
    /// SHA-256 of its DER.
    pub(super) digest: Sha256Digest,
    pub(super) subject: DistinguishedName,
    pub(super) issuer: DistinguishedName,
    /// The contents octets of the serial number, without leading zeros.
    pub(super) serial: Vec<u8>,
    pub(super) not_after: Timestamp,
    /// The issuer's name in DER, for the comparison with a CMS signer identifier.
    pub(super) issuer_der: Vec<u8>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    /// SHA-256 of the public key's DER. Two certificates with the same key are the same signer.
    pub(super) key: Sha256Digest,
    /// The key usage. A certificate without one may sign texts and CRLs.
    key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Vec<ObjectIdentifier>,
    pub(super) has_extended_key_usage: bool,
    /// The name of the weak digest of the issuer's signature; `None` for SHA-2 and better.
    pub(super) weak_digest: Option<&'static str>,
    pub(super) crl_points: Option<CrlDistributionPoints>,
    pub(super) is_authority: bool,
    proxy_extension: bool,
}

/// A certificate that cannot be read. The text is the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct CertificateError(String);

impl Certificate {
    /// Reads DER.
    pub(super) fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        let x509 = X509::from_der(bytes).map_err(|_| CertificateError("no X.509 certificate".to_owned()))?;
        Self::read(x509, bytes).map_err(|error| CertificateError(format!("a certificate that is not DER: {error}")))
    }

    /// Reads a certificate that OpenSSL already parsed.
    pub(super) fn from_x509(x509: X509) -> Result<Self, CertificateError> {
        let bytes = x509.to_der().map_err(|_| CertificateError("no X.509 certificate".to_owned()))?;
        Self::read(x509, &bytes).map_err(|error| CertificateError(format!("a certificate that is not DER: {error}")))
    }

    fn read(x509: X509, bytes: &[u8]) -> Result<Self, der::Error> {
        let exact = ExactParts::of(bytes).ok_or(der::ErrorKind::Failed)?;
        let extensions = exact.extensions.as_slice();
        let key_id: Option<SubjectKeyIdentifier> = find(extensions, &rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER)?;
        let usage: Option<ExtendedKeyUsage> = find(extensions, &rfc5280::ID_CE_EXT_KEY_USAGE)?;
        let constraints: Option<BasicConstraints> = find(extensions, &rfc5280::ID_CE_BASIC_CONSTRAINTS)?;
        let name = |der| DistinguishedName::from_der(der).ok_or(der::ErrorKind::Failed);
        Ok(Self {
            x509,
            digest: Sha256Digest::of(bytes),
            subject: name(exact.subject)?,
            issuer: name(exact.issuer)?,
            serial: without_leading_zeros(exact.serial).to_vec(),
            not_after: timestamp(Time::from_der(exact.not_after)?),
            issuer_der: exact.issuer.to_vec(),
            subject_key_id: key_id.map(|id| id.0.into_bytes()),
            key: Sha256Digest::of(exact.key),
            key_usage: find(extensions, &rfc5280::ID_CE_KEY_USAGE)?,
            has_extended_key_usage: usage.is_some(),
            extended_key_usage: usage.map(|usage| usage.0).unwrap_or_default(),
            weak_digest: exact.weak_digest,
            crl_points: find(extensions, &rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS)?,
            is_authority: constraints.is_some_and(|constraints| constraints.ca),
            proxy_extension: extensions.iter().any(|e| PROXY_INFORMATION.iter().any(|kind| kind.as_bytes() == e.kind)),
        })
    }

    /// The subject as a one-line name.
    pub(super) fn shown(&self) -> String {
        self.subject.to_string()
    }

    /// Whether this is a proxy certificate: of RFC 3820, of its drafts, or of the older kind without an extension
    /// (`CN=proxy`, `CN=limited proxy`).
    pub(super) fn is_proxy(&self) -> bool {
        let old_kind = self.subject.extends_by_common_name(&self.issuer)
            && matches!(self.subject.last_common_name(), Some("proxy" | "limited proxy"));
        self.proxy_extension || (old_kind && !self.is_authority)
    }

    /// Whether its key may sign texts: `digitalSignature` or `nonRepudiation` is set, or there is no key usage.
    pub(super) fn may_sign_texts(&self) -> bool {
        self.key_usage.is_none_or(|usage| usage.digital_signature() || usage.non_repudiation())
    }

    /// Whether its key may sign CRLs: `cRLSign` is set, or there is no key usage.
    pub(super) fn may_sign_crls(&self) -> bool {
        self.key_usage.is_none_or(|usage| usage.crl_sign())
    }

    /// The extended key usages by name, for messages.
    pub(super) fn usage_names(&self) -> String {
        let name = |usage: &ObjectIdentifier| match *usage {
            rfc5280::ID_KP_SERVER_AUTH => "serverAuth".to_owned(),
            rfc5280::ID_KP_CLIENT_AUTH => "clientAuth".to_owned(),
            rfc5280::ID_KP_CODE_SIGNING => "codeSigning".to_owned(),
            rfc5280::ID_KP_EMAIL_PROTECTION => "emailProtection".to_owned(),
            other => other.to_string(),
        };
        self.extended_key_usage.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// The parts of a certificate that are compared octet by octet.
struct ExactParts<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    not_after: &'a [u8],
    subject: &'a [u8],
    key: &'a [u8],
    extensions: Vec<Extension<'a>>,
    weak_digest: Option<&'static str>,
}

impl<'a> ExactParts<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut certificate = Reader::new(Reader::new(bytes).expect(tlv::SEQUENCE)?.content);
        let mut inner = Reader::new(certificate.expect(tlv::SEQUENCE)?.content);
        let weak_digest = weak_digest(certificate.expect(tlv::SEQUENCE)?);
        inner.optional(tlv::context(0));
        let serial = inner.expect(tlv::INTEGER)?.content;
        inner.expect(tlv::SEQUENCE)?;
        let issuer = inner.expect(tlv::SEQUENCE)?.whole;
        let mut validity = Reader::new(inner.expect(tlv::SEQUENCE)?.content);
        validity.next()?;
        let not_after = validity.next()?.whole;
        let subject = inner.expect(tlv::SEQUENCE)?.whole;
        let key = inner.expect(tlv::SEQUENCE)?.whole;
        for tag in UNIQUE_IDENTIFIERS {
            inner.optional(tag);
        }
        let extensions = match inner.optional(tlv::context(3)) {
            Some(tagged) => tlv::extensions(tlv::only(tagged.content, tlv::SEQUENCE)?.content)?,
            None => Vec::new(),
        };
        let parts = Self { serial, issuer, not_after, subject, key, extensions, weak_digest };
        inner.is_empty().then_some(parts)
    }
}

/// A serial number without leading zeros, for comparison. Some encoders add zeros.
pub(super) fn without_leading_zeros(serial: &[u8]) -> &[u8] {
    let start = serial.iter().position(|byte| *byte != 0).unwrap_or(serial.len());
    &serial[start..]
}

/// The subject of a certificate in DER, in DER.
pub(super) fn subject(certificate: &[u8]) -> Option<&[u8]> {
    ExactParts::of(certificate).map(|parts| parts.subject)
}

fn find<'a, T: Decode<'a>>(extensions: &[Extension<'a>], kind: &ObjectIdentifier) -> Result<Option<T>, der::Error> {
    extensions.iter().find(|extension| extension.kind == kind.as_bytes()).map(|e| T::from_der(e.value)).transpose()
}

/// An X.509 time as a timestamp. X.509 times have whole seconds and are in UTC.
pub(super) fn timestamp(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

impl DistinguishedName {
    /// The subject of a certificate in DER.
    pub fn of_subject(certificate: &[u8]) -> Option<Self> {
        Self::from_der(subject(certificate)?)
    }
}
