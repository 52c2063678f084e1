//! CMS `SignedData` (RFC 5652 section 5): taken apart here, its signatures proved by OpenSSL one by one.
//!
//! Each signature is proved alone, against one certificate that this module chose: a message of that one
//! `SignerInfo` and nothing else is put together and handed to OpenSSL with that one certificate. So the certificate
//! that was proved and the one whose names are judged cannot be two different ones, and each signer has its verdict.

use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::rsa::Padding;
use openssl::stack::Stack;

use super::algorithm::{parts, weak_digest, weak_digest_of_signer};
use super::certificate::{Certificate, without_leading_zeros};
use super::tlv::{self, Reader, Tlv};
use super::{DistinguishedName, Refusal, RefusalReason};

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// `hashAlgs` (NIST CSOR): SHA-256, SHA-384, SHA-512, SHA-224, the two short forms of SHA-512, and four of SHA-3.
const NIST_HASHES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
/// `id-messageDigest` (RFC 5652 section 11.2).
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];

/// The most signatures and the most certificates of one message.
const MOST_SIGNERS: usize = 16;
const MOST_CERTIFICATES: usize = 64;
/// The most certificates that one signature may name: CAs give a serial number once, and each is tried on the whole text.
const MOST_NAMED: usize = 4;

/// A `SignedData`, taken apart.
#[derive(Debug, Clone)]
pub(super) struct SignedData {
    version: Vec<u8>,
    /// The text, where it is inside.
    pub(super) content: Option<Vec<u8>>,
    /// The certificates that it carries, as many as can be read.
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo>,
}

/// One `SignerInfo`.
#[derive(Debug, Clone)]
pub(super) struct SignerInfo {
    whole: Vec<u8>,
    identifier: SignerIdentifier,
    /// The `AlgorithmIdentifier` of its digest.
    digest: Vec<u8>,
    /// The text's digest among the signed attributes, where there are any.
    text_digest: Option<Vec<u8>>,
    /// The signature itself.
    value: Vec<u8>,
    /// The weak digests that it uses, by name.
    pub(super) weak_digests: Vec<&'static str>,
}

/// How a `SignerInfo` names its certificate.
#[derive(Debug, Clone)]
enum SignerIdentifier {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    KeyId(Vec<u8>),
}

impl SignedData {
    /// Reads DER, or BER with the help of OpenSSL (streaming signers write indefinite lengths).
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if let Some(read) = Self::from_der(bytes) {
            return read;
        }
        let not_cms = || "a signature that is no CMS SignedData (RFC 5652)".to_owned();
        let der = CmsContentInfo::from_der(bytes).and_then(|cms| cms.to_der()).map_err(|_| not_cms())?;
        Self::from_der(&der).ok_or_else(not_cms)?
    }

    /// `None` where it is no DER of this shape; an error where it is, and breaks a bound.
    fn from_der(bytes: &[u8]) -> Option<Result<Self, String>> {
        let mut info = Reader::new(tlv::only(bytes, tlv::SEQUENCE)?.content);
        info.expect(tlv::OBJECT_IDENTIFIER).filter(|kind| kind.content == SIGNED_DATA)?;
        let tagged = info.expect(tlv::context(0))?;
        let mut inner = Reader::new(tlv::only(tagged.content, tlv::SEQUENCE)?.content);
        let version = inner.expect(tlv::INTEGER)?.whole.to_vec();
        inner.expect(tlv::SET)?;
        let content = read_content(inner.expect(tlv::SEQUENCE)?)?.first().map(|text| text.content.to_vec());
        let carried = inner.optional(tlv::context(0)).map_or(&[][..], |set| set.content);
        inner.optional(tlv::context(1));
        let signers = Reader::new(inner.expect(tlv::SET)?.content).all()?;
        let carried = Reader::new(carried).all()?;
        if signers.len() > MOST_SIGNERS || carried.len() > MOST_CERTIFICATES {
            let found = format!("{} signatures and {} certificates", signers.len(), carried.len());
            return Some(Err(format!("expected at most {MOST_SIGNERS} and {MOST_CERTIFICATES}, found {found}")));
        }
        let signers = signers.into_iter().map(SignerInfo::read).collect::<Option<Vec<_>>>()?;
        let plain = carried.into_iter().filter(|element| element.tag == tlv::SEQUENCE);
        let certificates = plain.filter_map(|element| Certificate::from_der(element.whole).ok()).collect();
        Some(Ok(Self { version, content, certificates, signers }))
    }

    /// The certificate whose key made this signature over this text.
    pub(super) fn prove(&self, signer: &SignerInfo, text: &[u8]) -> Result<&Certificate, Refusal> {
        let named: Vec<_> = self.certificates.iter().filter(|certificate| signer.names(certificate)).collect();
        let Some(first) = named.first() else {
            let why = format!("expected the certificate of {} in the message, found none", signer.shown());
            return Err(Refusal::new(RefusalReason::SignatureInvalid, why));
        };
        if named.len() > MOST_NAMED {
            let why = format!("expected one certificate of {}, found {}", signer.shown(), named.len());
            return Err(Refusal::new(RefusalReason::SignatureInvalid, why));
        }
        // OpenSSL loses some memory with each digest that it does not know, so it never gets to see one.
        if !signer.digest_is_known() {
            let why = format!("the signature of {} uses a digest that is not known", signer.shown());
            return Err(Refusal::new(RefusalReason::SignatureInvalid, why).about(first.shown(), 0));
        }
        let alone = self.with_only(signer);
        let proved = named.iter().find(|certificate| verify_alone(&alone, certificate, text).is_ok());
        proved.copied().ok_or_else(|| signer.unproved(first, text).about(first.shown(), 0))
    }

    /// A `ContentInfo` of this one signature: detached, without certificates.
    fn with_only(&self, signer: &SignerInfo) -> Vec<u8> {
        let data = tlv::write(tlv::OBJECT_IDENTIFIER, &[DATA]);
        let content = tlv::write(tlv::SEQUENCE, &[&data]);
        let digests = tlv::write(tlv::SET, &[&signer.digest]);
        let signers = tlv::write(tlv::SET, &[&signer.whole]);
        let parts = tlv::write(tlv::SEQUENCE, &[&self.version, &digests, &content, &signers]);
        let kind = tlv::write(tlv::OBJECT_IDENTIFIER, &[SIGNED_DATA]);
        tlv::write(tlv::SEQUENCE, &[&kind, &tlv::write(tlv::context(0), &[&parts])])
    }
}

/// The octets of the encapsulated text, none where the signature is detached. Only plain data is taken (`id-data`).
fn read_content(element: Tlv<'_>) -> Option<Vec<Tlv<'_>>> {
    let mut inner = Reader::new(element.content);
    inner.expect(tlv::OBJECT_IDENTIFIER).filter(|kind| kind.content == DATA)?;
    match inner.optional(tlv::context(0)) {
        Some(tagged) => Some(vec![tlv::only(tagged.content, tlv::OCTET_STRING)?]),
        None => Some(Vec::new()),
    }
}

/// The mathematics, and nothing else: no path, no purpose, no time.
fn verify_alone(alone: &[u8], certificate: &Certificate, text: &[u8]) -> Result<(), openssl::error::ErrorStack> {
    let mut certificates = Stack::new()?;
    certificates.push(certificate.x509.clone())?;
    let options = CMSOptions::NO_SIGNER_CERT_VERIFY | CMSOptions::NOINTERN | CMSOptions::BINARY | CMSOptions::DETACHED;
    CmsContentInfo::from_der(alone)?.verify(Some(&certificates), None, Some(text), None, options)
}

impl SignerInfo {
    fn read(element: Tlv<'_>) -> Option<Self> {
        let mut inner = Reader::new(tlv::only(element.whole, tlv::SEQUENCE)?.content);
        inner.expect(tlv::INTEGER)?;
        let identifier = SignerIdentifier::read(inner.next()?)?;
        let digest = inner.expect(tlv::SEQUENCE)?;
        let text_digest = inner.optional(tlv::context(0)).and_then(text_digest);
        let algorithm = inner.expect(tlv::SEQUENCE)?;
        let value = inner.expect(tlv::OCTET_STRING)?.content.to_vec();
        let mut weak_digests: Vec<_> =
            weak_digest(digest).into_iter().chain(weak_digest_of_signer(algorithm)).collect();
        weak_digests.dedup();
        let (whole, digest) = (element.whole.to_vec(), digest.whole.to_vec());
        Some(Self { whole, identifier, digest, text_digest, value, weak_digests })
    }

    /// Why a signature does not fit: it is over another text, or it is not of this key.
    fn unproved(&self, certificate: &Certificate, text: &[u8]) -> Refusal {
        let signed = self.text_digest.clone().or_else(|| self.recovered_digest(certificate));
        let found = self.digest_algorithm().and_then(|algorithm| hash(algorithm, text).ok());
        match (signed, found) {
            (Some(signed), Some(found)) if signed != *found => {
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

    /// The digest inside an RSA signature (PKCS #1 v1.5), which its key shows: the text's own, where there are no signed
    /// attributes.
    fn recovered_digest(&self, certificate: &Certificate) -> Option<Vec<u8>> {
        let key = certificate.x509.public_key().ok()?.rsa().ok()?;
        let mut opened = vec![0; usize::try_from(key.size()).ok()?];
        let length = key.public_decrypt(&self.value, &mut opened, Padding::PKCS1).ok()?;
        let mut inner = Reader::new(tlv::only(opened.get(..length)?, tlv::SEQUENCE)?.content);
        inner.expect(tlv::SEQUENCE)?;
        Some(inner.expect(tlv::OCTET_STRING)?.content.to_vec())
    }

    fn digest_algorithm(&self) -> Option<MessageDigest> {
        let (kind, _) = parts(tlv::only(&self.digest, tlv::SEQUENCE)?);
        let nid = openssl::asn1::Asn1Object::from_str(&kind?).ok()?.nid();
        (nid != Nid::UNDEF).then(|| MessageDigest::from_nid(nid))?
    }

    /// MD5, SHA-1, SHA-2 or SHA-3.
    fn digest_is_known(&self) -> bool {
        let mut algorithm = Reader::new(tlv::only(&self.digest, tlv::SEQUENCE).map_or(&[][..], |found| found.content));
        let found = algorithm.expect(tlv::OBJECT_IDENTIFIER).map_or(&[][..], |kind| kind.content);
        match found.strip_prefix(NIST_HASHES) {
            Some(&[number]) => matches!(number, 1..=10),
            Some(_) | None => found == MD5 || found == SHA1,
        }
    }

    fn names(&self, certificate: &Certificate) -> bool {
        match &self.identifier {
            SignerIdentifier::IssuerAndSerial { issuer, serial } => {
                *issuer == certificate.issuer_der && *serial == certificate.serial
            }
            SignerIdentifier::KeyId(id) => certificate.subject_key_id.as_ref() == Some(id),
        }
    }

    /// How the signature names its certificate, for messages.
    fn shown(&self) -> String {
        match &self.identifier {
            SignerIdentifier::IssuerAndSerial { issuer, serial } => {
                let name = DistinguishedName::from_der(issuer).map_or_else(|| "?".to_owned(), |n| n.to_string());
                format!("serial {} of {name}", hex::encode(serial))
            }
            SignerIdentifier::KeyId(id) => format!("key {}", hex::encode(id)),
        }
    }
}

impl SignerIdentifier {
    fn read(element: Tlv<'_>) -> Option<Self> {
        match element.tag {
            tlv::SEQUENCE => {
                let mut inner = Reader::new(element.content);
                let issuer = inner.expect(tlv::SEQUENCE)?.whole.to_vec();
                let serial = without_leading_zeros(inner.expect(tlv::INTEGER)?.content).to_vec();
                Some(Self::IssuerAndSerial { issuer, serial })
            }
            0x80 => Some(Self::KeyId(element.content.to_vec())),
            _ => None,
        }
    }
}

/// `messageDigest` of the signed attributes (RFC 5652 section 11.2).
fn text_digest(attributes: Tlv<'_>) -> Option<Vec<u8>> {
    let all = Reader::new(attributes.content).all()?;
    let value = all.into_iter().find_map(|attribute| {
        let mut inner = Reader::new(attribute.content);
        inner.expect(tlv::OBJECT_IDENTIFIER).filter(|kind| kind.content == MESSAGE_DIGEST)?;
        inner.expect(tlv::SET)
    })?;
    Some(tlv::only(value.content, tlv::OCTET_STRING)?.content.to_vec())
}
