//! One CMS `SignerInfo` (RFC 5652 section 5.3): which certificate it names, and what it signs.
//!
//! If there are signed attributes, the signature is over these only, and they contain the digest of the text (section
//! 5.4). Otherwise the signature is over the text itself. OpenSSL does the cryptography and gets the text piece by
//! piece. OpenSSL's own CMS functions would copy the whole text, which may be large.

use data_encoding::HEXLOWER;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

use super::algorithm::{RSASSA_PSS, known_digest, parts, weak_digest, weak_digest_of_signer};
use super::certificate::{Certificate, without_leading_zeros};
use super::signed_text::TextForm;
use super::tlv::{self, Reader, Tlv};
use super::{DistinguishedName, Refusal, RefusalReason};

/// `id-messageDigest` (RFC 5652 section 11.2).
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];

/// One parsed `SignerInfo`. Its unsigned attributes are left out.
#[derive(Debug, Clone)]
pub(super) struct SignerInfo {
    identifier: SignerIdentifier,
    /// Its digest; `None` if it is unknown.
    digest: Option<Nid>,
    over: Over,
    /// Its signature scheme; `None` if it is unknown.
    scheme: Option<SignatureScheme>,
    /// The signature value.
    value: Vec<u8>,
    /// The names of the weak digests that it uses.
    pub(super) weak_digests: Vec<&'static str>,
}

/// What the signature is over.
#[derive(Debug, Clone)]
enum Over {
    /// The text itself.
    Text,
    /// The signed attributes.
    Attributes {
        /// The signed attributes as they are signed: encoded as a `SET`.
        set: Vec<u8>,
        /// The digest of the text in them; `None` if there is not exactly one.
        message_digest: Option<Vec<u8>>,
    },
}

/// The signer identifier, which names the certificate.
#[derive(Debug, Clone)]
enum SignerIdentifier {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    KeyId(Vec<u8>),
}

impl SignerInfo {
    pub(super) fn read(element: Tlv<'_>) -> Option<Self> {
        let mut inner = Reader::new(tlv::only(element.whole, tlv::SEQUENCE)?.content);
        inner.expect(tlv::INTEGER)?;
        let identifier = SignerIdentifier::read(inner.next()?)?;
        let digest = inner.expect(tlv::SEQUENCE)?;
        let over = inner.optional(tlv::context(0)).map_or(Over::Text, Over::attributes);
        let algorithm = inner.expect(tlv::SEQUENCE)?;
        let value = inner.expect(tlv::OCTET_STRING)?.content.to_vec();
        let mut weak_digests: Vec<_> =
            weak_digest(digest).into_iter().chain(weak_digest_of_signer(algorithm)).collect();
        weak_digests.dedup();
        let scheme = SignatureScheme::read(algorithm);
        Some(Self { identifier, digest: known_digest(digest), over, scheme, value, weak_digests })
    }

    /// Whether the digest in the signed attributes is that of this text. `true` if there are no signed attributes.
    pub(super) fn is_over(&self, text: TextForm<'_>) -> bool {
        match &self.over {
            Over::Text => true,
            Over::Attributes { message_digest: None, set: _ } => false,
            Over::Attributes { message_digest: Some(signed), set: _ } => {
                self.digest_of(text).is_some_and(|found| found == *signed)
            }
        }
    }

    /// Whether the key of this certificate made the signature.
    pub(super) fn is_by(&self, certificate: &Certificate, text: TextForm<'_>) -> Result<bool, ErrorStack> {
        let key = certificate.x509.public_key()?;
        let (Some(digest), Some(scheme)) = (self.digest, &self.scheme) else { return Ok(false) };
        let Some(mut verifier) = scheme.verifier(digest, &key)? else { return Ok(false) };
        match &self.over {
            Over::Text => text.pieces(|piece| verifier.update(piece))?,
            Over::Attributes { set, message_digest: _ } => verifier.update(set)?,
        }
        verifier.verify(&self.value)
    }

    /// The refusal for an invalid signature: the text differs from the signed one, or the key is another one.
    pub(super) fn mismatch(&self, certificate: &Certificate, text: TextForm<'_>) -> Refusal {
        let signed = match &self.over {
            Over::Text => self.recovered_digest(certificate),
            Over::Attributes { message_digest, set: _ } => message_digest.clone(),
        };
        match (signed, self.digest_of(text)) {
            (Some(signed), Some(found)) if signed != found => {
                let (signed, found) = (HEXLOWER.encode(&signed), HEXLOWER.encode(&found));
                let message =
                    format!("expected the text of the digest {signed:.32}…, which was signed, found {found:.32}…");
                Refusal::new(RefusalReason::MessageDigestMismatch, message)
            }
            (Some(_) | None, Some(_) | None) => {
                let why = format!("the signature of {} does not fit the text", self.shown());
                Refusal::new(RefusalReason::SignatureInvalid, why)
            }
        }
    }

    /// The digest inside an RSA signature (PKCS #1 v1.5), decrypted with the public key.
    fn recovered_digest(&self, certificate: &Certificate) -> Option<Vec<u8>> {
        let key = certificate.x509.public_key().ok()?.rsa().ok()?;
        let mut opened = vec![0; usize::try_from(key.size()).ok()?];
        let length = key.public_decrypt(&self.value, &mut opened, Padding::PKCS1).ok()?;
        let mut inner = Reader::new(tlv::only(opened.get(..length)?, tlv::SEQUENCE)?.content);
        inner.expect(tlv::SEQUENCE)?;
        Some(inner.expect(tlv::OCTET_STRING)?.content.to_vec())
    }

    /// The digest of the text, with the signature's digest algorithm.
    fn digest_of(&self, text: TextForm<'_>) -> Option<Vec<u8>> {
        text.digest(MessageDigest::from_nid(self.digest?)?).ok()
    }

    /// Whether its digest is MD5, SHA-1, SHA-2 or SHA-3.
    pub(super) fn digest_is_known(&self) -> bool {
        self.digest.is_some()
    }

    /// Whether it names this certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match &self.identifier {
            SignerIdentifier::IssuerAndSerial { issuer, serial } => {
                *issuer == certificate.issuer_der && *serial == certificate.serial
            }
            SignerIdentifier::KeyId(id) => certificate.subject_key_id.as_ref() == Some(id),
        }
    }

    /// The signer identifier, for messages.
    pub(super) fn shown(&self) -> String {
        match &self.identifier {
            SignerIdentifier::IssuerAndSerial { issuer, serial } => {
                let name = DistinguishedName::from_der(issuer).map_or_else(|| "?".to_owned(), |n| n.to_string());
                format!("serial {} of {name}", HEXLOWER.encode(serial))
            }
            SignerIdentifier::KeyId(id) => format!("key {}", HEXLOWER.encode(id)),
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

impl Over {
    fn attributes(found: Tlv<'_>) -> Self {
        Self::Attributes { set: tlv::write(tlv::SET, &[found.content]), message_digest: message_digest(found) }
    }
}

/// The `messageDigest` of the signed attributes. There must be exactly one, with exactly one value (RFC 5652 section
/// 11.2).
fn message_digest(attributes: Tlv<'_>) -> Option<Vec<u8>> {
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

/// `id-mgf1` (RFC 8017 appendix C).
const MGF1: &str = "1.2.840.113549.1.1.8";

/// The signature scheme, from the algorithm identifier (RFC 5652 section 5.3, RFC 8551 section 2.2): the part of it other
/// than the digest, which has its own field. For `OfKey`, the key decides: RSA
/// (with the padding of PKCS #1 v1.5), DSA or ECDSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignatureScheme {
    OfKey,
    Pss(Pss),
}

/// RSASSA-PSS (RFC 4055 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pss {
    digest: Nid,
    mask_digest: Nid,
    salt_length: i32,
}

impl SignatureScheme {
    /// `None` if the parameters cannot be read, or contain an unknown value.
    fn read(algorithm: Tlv<'_>) -> Option<Self> {
        match parts(algorithm) {
            (Some(kind), parameters) if kind == RSASSA_PSS => Pss::read(parameters).map(Self::Pss),
            (Some(_), _) => Some(Self::OfKey),
            (None, _) => None,
        }
    }

    /// A verifier for a signature by this key; `None` if this type of key cannot be used with the scheme.
    fn verifier(self, digest: Nid, key: &PKey<Public>) -> Result<Option<Verifier<'_>>, ErrorStack> {
        let Some(algorithm) = MessageDigest::from_nid(digest) else { return Ok(None) };
        match (self, key.id()) {
            (Self::OfKey, Id::RSA | Id::DSA | Id::EC) => Verifier::new(algorithm, key).map(Some),
            (Self::Pss(pss), Id::RSA | Id::RSA_PSS) if pss.digest == digest => {
                let Some(mask) = MessageDigest::from_nid(pss.mask_digest) else { return Ok(None) };
                let mut verifier = Verifier::new(algorithm, key)?;
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_mgf1_md(mask)?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(pss.salt_length))?;
                Ok(Some(verifier))
            }
            _ => Ok(None),
        }
    }
}

impl Pss {
    /// The defaults are SHA-1, MGF1 with SHA-1, and a salt of 20 octets.
    fn read(mut behind: Reader<'_>) -> Option<Self> {
        let mut parameters = Reader::new(behind.expect(tlv::SEQUENCE)?.content);
        let digest = match parameters.optional(tlv::context(0)) {
            Some(tagged) => known_digest(tlv::only(tagged.content, tlv::SEQUENCE)?)?,
            None => Nid::SHA1,
        };
        let mask_digest = match parameters.optional(tlv::context(1)) {
            Some(tagged) => {
                let (kind, mut of_mask) = parts(tlv::only(tagged.content, tlv::SEQUENCE)?);
                kind.filter(|kind| kind == MGF1)?;
                known_digest(of_mask.expect(tlv::SEQUENCE)?)?
            }
            None => Nid::SHA1,
        };
        let salt_length = match parameters.optional(tlv::context(2)) {
            Some(tagged) => small(tagged)?,
            None => 20,
        };
        let trailer = match parameters.optional(tlv::context(3)) {
            Some(tagged) => small(tagged)?,
            None => 1,
        };
        (parameters.is_empty() && trailer == 1).then_some(Self { digest, mask_digest, salt_length })
    }
}

/// An integer from 0 to 32,767.
fn small(tagged: Tlv<'_>) -> Option<i32> {
    match *tlv::only(tagged.content, tlv::INTEGER)?.content {
        [low] if low < 0x80 => Some(i32::from(low)),
        [high, low] if high < 0x80 => Some(i32::from(high) << 8 | i32::from(low)),
        _ => None,
    }
}
