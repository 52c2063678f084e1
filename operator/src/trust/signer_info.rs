//! One `SignerInfo` of CMS (RFC 5652 section 5.3): whose certificate it names, and what it is over.
//!
//! Where it has signed attributes, its key signs those alone, and the digest of the text is one of them (section 5.4).
//! So OpenSSL proves the attributes, and the digest is compared here: OpenSSL would copy the whole text, which may be
//! large. Where it has none, the key signs the text itself, and OpenSSL gets it.

use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::rsa::Padding;
use openssl::stack::Stack;

use super::algorithm::{parts, weak_digest, weak_digest_of_signer};
use super::certificate::{Certificate, without_leading_zeros};
use super::signed_text::TextForm;
use super::tlv::{self, Reader, Tlv};
use super::{DistinguishedName, Refusal, RefusalReason};

const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// `hashAlgs` (NIST CSOR): SHA-256, SHA-384, SHA-512, SHA-224, the two short forms of SHA-512, and four of SHA-3.
const NIST_HASHES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
/// `id-messageDigest` (RFC 5652 section 11.2).
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];

/// One `SignerInfo`, in its parts. What nobody signed in it (the unsigned attributes) is left out.
#[derive(Debug, Clone)]
pub(super) struct SignerInfo {
    version: Vec<u8>,
    identifier: SignerIdentifier,
    /// The `AlgorithmIdentifier` of its digest.
    digest: Vec<u8>,
    over: Over,
    /// The `AlgorithmIdentifier` of the signature.
    algorithm: Vec<u8>,
    /// The signature itself.
    value: Vec<u8>,
    /// The weak digests that it uses, by name.
    pub(super) weak_digests: Vec<&'static str>,
}

/// What the key signed.
#[derive(Debug, Clone)]
enum Over {
    /// The text itself.
    Text,
    /// The signed attributes.
    Attributes {
        /// The contents of their `SET`.
        attributes: Vec<u8>,
        /// The digest of the text among them: `None` where there is not exactly one.
        text_digest: Option<Vec<u8>>,
    },
}

/// How a `SignerInfo` names its certificate.
#[derive(Debug, Clone)]
enum SignerIdentifier {
    IssuerAndSerial { whole: Vec<u8>, issuer: Vec<u8>, serial: Vec<u8> },
    KeyId { whole: Vec<u8>, id: Vec<u8> },
}

impl SignerInfo {
    pub(super) fn read(element: Tlv<'_>) -> Option<Self> {
        let mut inner = Reader::new(tlv::only(element.whole, tlv::SEQUENCE)?.content);
        let version = inner.expect(tlv::INTEGER)?.whole.to_vec();
        let identifier = SignerIdentifier::read(inner.next()?)?;
        let digest = inner.expect(tlv::SEQUENCE)?;
        let over = inner.optional(tlv::context(0)).map_or(Over::Text, |attributes| Over::Attributes {
            attributes: attributes.content.to_vec(),
            text_digest: text_digest(attributes),
        });
        let algorithm = inner.expect(tlv::SEQUENCE)?;
        let value = inner.expect(tlv::OCTET_STRING)?.content.to_vec();
        let mut weak_digests: Vec<_> =
            weak_digest(digest).into_iter().chain(weak_digest_of_signer(algorithm)).collect();
        weak_digests.dedup();
        let (digest, algorithm) = (digest.whole.to_vec(), algorithm.whole.to_vec());
        Some(Self { version, identifier, digest, over, algorithm, value, weak_digests })
    }

    /// The `AlgorithmIdentifier` of its digest, in DER.
    pub(super) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// In DER, put together from its parts: whoever reads it finds signed attributes where they were found here, and
    /// nowhere else.
    pub(super) fn written(&self) -> Vec<u8> {
        let attributes = match &self.over {
            Over::Text => Vec::new(),
            Over::Attributes { attributes, text_digest: _ } => tlv::write(tlv::context(0), &[attributes]),
        };
        let value = tlv::write(tlv::OCTET_STRING, &[&self.value]);
        let identifier = self.identifier.whole();
        let parts: [&[u8]; 6] = [&self.version, identifier, &self.digest, &attributes, &self.algorithm, &value];
        tlv::write(tlv::SEQUENCE, &parts)
    }

    /// Whether it can be over this text, whoever made it.
    pub(super) fn may_be_over(&self, text: TextForm<'_>) -> bool {
        match &self.over {
            Over::Text => true,
            Over::Attributes { text_digest: None, attributes: _ } => false,
            Over::Attributes { text_digest: Some(signed), attributes: _ } => {
                self.digest_of(text).is_some_and(|found| found == *signed)
            }
        }
    }

    /// Whether this certificate's key made it, which may be over the text: the mathematics, and nothing else, no path, no
    /// purpose, no time. `alone` is a detached `ContentInfo` of this one signature.
    pub(super) fn made_by(&self, certificate: &Certificate, alone: &[u8], text: TextForm<'_>) -> bool {
        let verified = match &self.over {
            Over::Text => verify(alone, certificate, &text.bytes(), CMSOptions::empty()),
            Over::Attributes { .. } => verify(alone, certificate, &[], CMSOptions::NO_CONTENT_VERIFY),
        };
        verified.is_ok()
    }

    /// Why a signature does not fit: it is over another text, or it is not of this key.
    pub(super) fn unproved(&self, certificate: &Certificate, text: TextForm<'_>) -> Refusal {
        let signed = match &self.over {
            Over::Text => self.recovered_digest(certificate),
            Over::Attributes { text_digest, attributes: _ } => text_digest.clone(),
        };
        match (signed, self.digest_of(text)) {
            (Some(signed), Some(found)) if signed != found => {
                let (signed, found) = (hex::encode(signed), hex::encode(found));
                let message =
                    format!("expected the text of the digest {signed:.32}…, which was signed, found {found:.32}…");
                Refusal::new(RefusalReason::TextChanged, message)
            }
            (Some(_) | None, Some(_) | None) => {
                let why = format!("the signature of {} does not fit the text", self.shown());
                Refusal::new(RefusalReason::SignatureInvalid, why)
            }
        }
    }

    /// The digest inside an RSA signature (PKCS #1 v1.5), which its key shows.
    fn recovered_digest(&self, certificate: &Certificate) -> Option<Vec<u8>> {
        let key = certificate.x509.public_key().ok()?.rsa().ok()?;
        let mut opened = vec![0; usize::try_from(key.size()).ok()?];
        let length = key.public_decrypt(&self.value, &mut opened, Padding::PKCS1).ok()?;
        let mut inner = Reader::new(tlv::only(opened.get(..length)?, tlv::SEQUENCE)?.content);
        inner.expect(tlv::SEQUENCE)?;
        Some(inner.expect(tlv::OCTET_STRING)?.content.to_vec())
    }

    /// The text's digest, by the signature's algorithm.
    fn digest_of(&self, text: TextForm<'_>) -> Option<Vec<u8>> {
        text.digest(self.digest_algorithm()?).ok()
    }

    fn digest_algorithm(&self) -> Option<MessageDigest> {
        let (kind, _) = parts(tlv::only(&self.digest, tlv::SEQUENCE)?);
        let nid = openssl::asn1::Asn1Object::from_str(&kind?).ok()?.nid();
        (nid != Nid::UNDEF).then(|| MessageDigest::from_nid(nid))?
    }

    /// MD5, SHA-1, SHA-2 or SHA-3.
    pub(super) fn digest_is_known(&self) -> bool {
        let mut algorithm = Reader::new(tlv::only(&self.digest, tlv::SEQUENCE).map_or(&[][..], |found| found.content));
        let found = algorithm.expect(tlv::OBJECT_IDENTIFIER).map_or(&[][..], |kind| kind.content);
        match found.strip_prefix(NIST_HASHES) {
            Some(&[number]) => matches!(number, 1..=10),
            Some(_) | None => found == MD5 || found == SHA1,
        }
    }

    /// Whether it names this certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match &self.identifier {
            SignerIdentifier::IssuerAndSerial { issuer, serial, whole: _ } => {
                *issuer == certificate.issuer_der && *serial == certificate.serial
            }
            SignerIdentifier::KeyId { id, whole: _ } => certificate.subject_key_id.as_ref() == Some(id),
        }
    }

    /// How the signature names its certificate, for messages.
    pub(super) fn shown(&self) -> String {
        match &self.identifier {
            SignerIdentifier::IssuerAndSerial { issuer, serial, whole: _ } => {
                let name = DistinguishedName::from_der(issuer).map_or_else(|| "?".to_owned(), |n| n.to_string());
                format!("serial {} of {name}", hex::encode(serial))
            }
            SignerIdentifier::KeyId { id, whole: _ } => format!("key {}", hex::encode(id)),
        }
    }
}

impl SignerIdentifier {
    fn read(element: Tlv<'_>) -> Option<Self> {
        let whole = element.whole.to_vec();
        match element.tag {
            tlv::SEQUENCE => {
                let mut inner = Reader::new(element.content);
                let issuer = inner.expect(tlv::SEQUENCE)?.whole.to_vec();
                let serial = without_leading_zeros(inner.expect(tlv::INTEGER)?.content).to_vec();
                Some(Self::IssuerAndSerial { whole, issuer, serial })
            }
            0x80 => Some(Self::KeyId { whole, id: element.content.to_vec() }),
            _ => None,
        }
    }

    fn whole(&self) -> &[u8] {
        match self {
            Self::IssuerAndSerial { whole, .. } | Self::KeyId { whole, .. } => whole,
        }
    }
}

/// `messageDigest` of the signed attributes: exactly one, with exactly one value (RFC 5652 section 11.2).
fn text_digest(attributes: Tlv<'_>) -> Option<Vec<u8>> {
    let mut found = None;
    for attribute in Reader::new(attributes.content).all()? {
        let mut inner = Reader::new(tlv::only(attribute.whole, tlv::SEQUENCE)?.content);
        if inner.expect(tlv::OBJECT_IDENTIFIER)?.content != MESSAGE_DIGEST {
            continue;
        }
        let value = tlv::only(inner.expect(tlv::SET)?.content, tlv::OCTET_STRING)?;
        if !inner.is_empty() || found.replace(value.content.to_vec()).is_some() {
            return None;
        }
    }
    found
}

fn verify(alone: &[u8], certificate: &Certificate, text: &[u8], more: CMSOptions) -> Result<(), ErrorStack> {
    let mut certificates = Stack::new()?;
    certificates.push(certificate.x509.clone())?;
    let options = CMSOptions::NO_SIGNER_CERT_VERIFY | CMSOptions::NOINTERN | CMSOptions::BINARY | CMSOptions::DETACHED;
    CmsContentInfo::from_der(alone)?.verify(Some(&certificates), None, Some(text), None, options | more)
}
