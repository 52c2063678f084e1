//! The signature scheme of a CMS signature, from its algorithm identifier (RFC 5652 section 5.3, RFC 8551 section 2.2).

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

use super::algorithm::{RSASSA_PSS, known_digest, parts};
use super::tlv::{self, Reader, Tlv};

/// `id-mgf1` (RFC 8017 appendix C).
const MGF1: &str = "1.2.840.113549.1.1.8";

/// The part of a signature algorithm other than the digest, which has its own field. For `OfKey`, the key decides: RSA
/// (with the padding of PKCS #1 v1.5), DSA or ECDSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureScheme {
    OfKey,
    Pss(Pss),
}

/// RSASSA-PSS (RFC 4055 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pss {
    digest: Nid,
    mask_digest: Nid,
    salt_length: i32,
}

impl SignatureScheme {
    /// `None` if the parameters cannot be read, or contain an unknown value.
    pub(super) fn read(algorithm: Tlv<'_>) -> Option<Self> {
        match parts(algorithm) {
            (Some(kind), parameters) if kind == RSASSA_PSS => Pss::read(parameters).map(Self::Pss),
            (Some(_), _) => Some(Self::OfKey),
            (None, _) => None,
        }
    }

    /// A verifier for a signature by this key; `None` if this type of key cannot be used with the scheme.
    pub(super) fn verifier(self, digest: Nid, key: &PKey<Public>) -> Result<Option<Verifier<'_>>, ErrorStack> {
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
