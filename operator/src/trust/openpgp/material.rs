//! Public keys in X.509 form (`SubjectPublicKeyInfo`, RFC 5280 section 4.1), so that a key is recognised as the same
//! whether it signs with OpenPGP or with CMS.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};
use openssl::rsa::Rsa;
use pgp::ser::Serialize;
use pgp::types::{EcdsaPublicParams, EddsaLegacyPublicParams, PublicParams};

use crate::trust::Sha256Digest;

/// SHA-256 of the key in X.509 form, or in OpenPGP form if X.509 has none.
pub(super) fn digest(numbers: &PublicParams) -> Sha256Digest {
    let written = numbers.to_bytes().unwrap_or_default();
    let der = as_x509(numbers, &written).and_then(Result::ok);
    Sha256Digest::of(&der.unwrap_or(written))
}

fn as_x509(numbers: &PublicParams, written: &[u8]) -> Option<Result<Vec<u8>, ErrorStack>> {
    match numbers {
        PublicParams::RSA(_) => {
            let (modulus, rest) = number(written)?;
            let (exponent, _) = number(rest)?;
            Some(rsa(modulus, exponent))
        }
        PublicParams::ECDSA(EcdsaPublicParams::P256 { .. }) => Some(point(Nid::X9_62_PRIME256V1, tail(written, 65)?)),
        PublicParams::ECDSA(EcdsaPublicParams::P384 { .. }) => Some(point(Nid::SECP384R1, tail(written, 97)?)),
        PublicParams::ECDSA(EcdsaPublicParams::P521 { .. }) => Some(point(Nid::SECP521R1, tail(written, 133)?)),
        PublicParams::ECDSA(EcdsaPublicParams::Secp256k1 { .. }) => Some(point(Nid::SECP256K1, tail(written, 65)?)),
        PublicParams::Ed25519(_) | PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }) => {
            Some(edwards(Id::ED25519, tail(written, 32)?))
        }
        PublicParams::Ed448(_) => Some(edwards(Id::ED448, tail(written, 57)?)),
        PublicParams::ECDSA(EcdsaPublicParams::Unsupported { .. })
        | PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Unsupported { .. })
        | PublicParams::DSA(_)
        | PublicParams::ECDH(_)
        | PublicParams::Elgamal(_)
        | PublicParams::X25519(_)
        | PublicParams::X448(_)
        | PublicParams::Unknown { .. } => None,
    }
}

/// Splits off a multiprecision integer, which begins with its length in bits (RFC 9580 section 3.2).
fn number(written: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = written.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*bits)).div_ceil(8))
}

/// The last `length` bytes. A point is the last field of a key.
fn tail(written: &[u8], length: usize) -> Option<&[u8]> {
    written.len().checked_sub(length).map(|start| &written[start..])
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = Rsa::from_public_components(BigNum::from_slice(modulus)?, BigNum::from_slice(exponent)?)?;
    PKey::from_rsa(key)?.public_key_to_der()
}

fn point(curve: Nid, bytes: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve)?;
    let point = EcPoint::from_bytes(&group, bytes, &mut *BigNumContext::new()?)?;
    PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)?.public_key_to_der()
}

fn edwards(kind: Id, bytes: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    PKey::public_key_from_raw_bytes(bytes, kind)?.public_key_to_der()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE;
    use openssl::pkey::Private;
    use pgp::crypto::public_key::PublicKeyAlgorithm;

    use super::*;

    fn number(bytes: &[u8]) -> Vec<u8> {
        let bits = u16::try_from(bytes.len() * 8).unwrap() - u16::try_from(bytes[0].leading_zeros()).unwrap();
        [&bits.to_be_bytes()[..], bytes].concat()
    }

    fn same(key: &PKey<Private>, algorithm: PublicKeyAlgorithm, written: &[u8]) {
        let numbers = PublicParams::try_from_reader(algorithm, Some(written.len()), written).unwrap();
        assert_eq!(digest(&numbers), Sha256Digest::of(&key.public_key_to_der().unwrap()), "{algorithm:?}");
    }

    /// One key in two forms counts once: its numbers are the same under a certificate and under a fingerprint.
    #[test]
    fn the_numbers_are_those_of_a_certificate() {
        let rsa = Rsa::generate(2048).unwrap();
        let written = [number(&rsa.n().to_vec()), number(&rsa.e().to_vec())].concat();
        same(&PKey::from_rsa(rsa).unwrap(), PublicKeyAlgorithm::RSA, &written);

        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
        let point = key.public_key().to_bytes(&group, form, &mut BigNumContext::new().unwrap()).unwrap();
        let curve = HEXLOWER_PERMISSIVE.decode("082a8648ce3d030107".as_bytes()).unwrap();
        same(&PKey::from_ec_key(key).unwrap(), PublicKeyAlgorithm::ECDSA, &[curve, number(&point)].concat());

        let key = PKey::generate_ed25519().unwrap();
        let raw = key.raw_public_key().unwrap();
        same(&key, PublicKeyAlgorithm::Ed25519, &raw);
        let curve = HEXLOWER_PERMISSIVE.decode("092b06010401da470f01".as_bytes()).unwrap();
        let point = [&[0x40][..], &raw].concat();
        same(&key, PublicKeyAlgorithm::EdDSALegacy, &[curve, number(&point)].concat());
    }
}
