//! Public keys that sign OCI artefacts.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::sign::Verifier;

use crate::trust::Sha256Digest;
use crate::trust::strength::{self, Judged};

/// The most bytes of a key in PEM.
const LARGEST: usize = 16 << 10;

/// A public key: ECDSA on P-256, P-384 or P-521, RSA, or Ed25519.
#[derive(Clone)]
pub struct CosignKey(Arc<Held>);

struct Held {
    key: PKey<Public>,
    kind: Kind,
    digest: Sha256Digest,
}

/// The digests that a key of each kind signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Curve,
    Rsa,
    Edwards,
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignKeyError {
    /// No public key in PEM.
    #[error("expected one public key in PEM (BEGIN PUBLIC KEY), as cosign.pub has it, found {0}")]
    Unreadable(&'static str),
    /// A key of another kind.
    #[error("expected a key of ECDSA (P-256, P-384, P-521), RSA or Ed25519, found another kind")]
    Kind,
}

/// The result of verifying a signature with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The key made it over these bytes.
    Valid,
    /// It is no signature that this kind of key can make.
    Malformed,
    /// Another key made it, or over other bytes.
    Other,
}

impl CosignKey {
    /// Reads a key in PEM (`SubjectPublicKeyInfo`, RFC 7468 section 13).
    pub fn read(pem: &str) -> Result<Self, CosignKeyError> {
        if pem.len() > LARGEST {
            return Err(CosignKeyError::Unreadable("too many bytes"));
        }
        if pem.contains("PRIVATE KEY") {
            return Err(CosignKeyError::Unreadable("a private key, which must be kept secret"));
        }
        let blocks = pem.matches("-----BEGIN ").count();
        if blocks != 1 || !pem.contains("-----BEGIN PUBLIC KEY-----") {
            return Err(CosignKeyError::Unreadable(if blocks > 1 { "several blocks" } else { "something else" }));
        }
        let unreadable = |_| CosignKeyError::Unreadable("one that is broken");
        let key = PKey::public_key_from_pem(pem.as_bytes()).map_err(unreadable)?;
        let kind = match key.id() {
            Id::EC if is_of_a_known_curve(&key) => Kind::Curve,
            Id::RSA => Kind::Rsa,
            Id::ED25519 => Kind::Edwards,
            _ => return Err(CosignKeyError::Kind),
        };
        let digest = Sha256Digest::of(&key.public_key_to_der().map_err(unreadable)?);
        Ok(Self(Arc::new(Held { key, kind, digest })))
    }

    /// SHA-256 of the key's DER. It identifies the key, also where it is in a certificate.
    pub fn digest(&self) -> Sha256Digest {
        self.0.digest
    }

    /// The digits of the digest.
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(self.0.digest.as_bytes())
    }

    /// The form for fields that otherwise contain a certificate's name: `cosign:` and the digits.
    pub fn as_name(&self) -> String {
        format!("cosign:{}", self.fingerprint())
    }

    /// Whether a bundle's hint names it: base64 of SHA-256 of the key's DER, as cosign writes it.
    pub(super) fn is_hinted_by(&self, hint: &str) -> bool {
        STANDARD.encode(self.0.digest.as_bytes()) == hint
    }

    /// Its strength.
    pub(in crate::trust) fn judged(&self) -> Judged {
        strength::judge(&self.0.key)
    }

    /// Verifies a signature over a text. ECDSA signatures are in DER, over SHA-256 or SHA-384 of the text; RSA is PKCS #1
    /// version 1.5 with SHA-256; Ed25519 is over the text itself. Nothing in a signature says which.
    pub(super) fn verify(&self, signature: &[u8], text: &[u8]) -> Verdict {
        let Held { key, kind, digest: _ } = &*self.0;
        let (well_formed, digests): (bool, &[Option<MessageDigest>]) = match kind {
            Kind::Curve => (
                EcdsaSig::from_der(signature).is_ok(),
                &[Some(MessageDigest::sha256()), Some(MessageDigest::sha384()), Some(MessageDigest::sha512())],
            ),
            Kind::Rsa => (signature.len() == key.size(), &[Some(MessageDigest::sha256())]),
            Kind::Edwards => (signature.len() == 64, &[None]),
        };
        if !well_formed {
            return Verdict::Malformed;
        }
        let valid = |digest: &Option<MessageDigest>| {
            let mut verifier = match digest {
                Some(digest) => Verifier::new(*digest, key)?,
                None => Verifier::new_without_digest(key)?,
            };
            verifier.verify_oneshot(signature, text)
        };
        // An error is a signature that does not fit.
        if digests.iter().any(|digest| valid(digest).unwrap_or(false)) { Verdict::Valid } else { Verdict::Other }
    }
}

fn is_of_a_known_curve(key: &PKey<Public>) -> bool {
    let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
    curve.is_some_and(|name| [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1].contains(&name))
}

impl PartialEq for CosignKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for CosignKey {}

impl fmt::Debug for CosignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_name())
    }
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;
    use openssl::sign::Signer;

    use super::*;

    fn curve(name: Nid) -> PKey<Private> {
        PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(name).unwrap()).unwrap()).unwrap()
    }

    fn public(key: &PKey<Private>) -> Result<CosignKey, CosignKeyError> {
        CosignKey::read(&String::from_utf8(key.public_key_to_pem().unwrap()).unwrap())
    }

    #[test]
    fn keys_of_each_kind_verify_what_they_signed_and_nothing_else() {
        let sha256 = Some(MessageDigest::sha256());
        let table = [
            ("P-256", curve(Nid::X9_62_PRIME256V1), sha256),
            ("P-384 with SHA-256", curve(Nid::SECP384R1), sha256),
            ("P-384 with SHA-384", curve(Nid::SECP384R1), Some(MessageDigest::sha384())),
            ("RSA", PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(), sha256),
            ("Ed25519", PKey::generate_ed25519().unwrap(), None),
        ];
        let stranger = public(&curve(Nid::X9_62_PRIME256V1)).unwrap();
        for (name, key, digest) in table {
            let mut signer = match digest {
                Some(digest) => Signer::new(digest, &key).unwrap(),
                None => Signer::new_without_digest(&key).unwrap(),
            };
            let signature = signer.sign_oneshot_to_vec(b"text").unwrap();
            let read = public(&key).unwrap();
            assert_eq!(read.verify(&signature, b"text"), Verdict::Valid, "{name}");
            assert_eq!(read.verify(&signature, b"Text"), Verdict::Other, "{name}");
            assert_ne!(stranger.verify(&signature, b"text"), Verdict::Valid, "{name}");
            assert_eq!(read.verify(&signature[1..], b"text"), Verdict::Malformed, "{name}");
            assert_eq!(read.verify(b"", b"text"), Verdict::Malformed, "{name}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let key = curve(Nid::X9_62_PRIME256V1);
        let pem = String::from_utf8(key.public_key_to_pem().unwrap()).unwrap();
        let secret = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let dsa = PKey::from_dsa(openssl::dsa::Dsa::generate(1024).unwrap()).unwrap();
        let cases = [
            (CosignKey::read(""), "something else"),
            (CosignKey::read(&secret), "a private key"),
            (CosignKey::read(&pem.repeat(2)), "several blocks"),
            (CosignKey::read(&pem.replace("MF", "!!")), "broken"),
            (CosignKey::read(&" ".repeat(LARGEST + 1)), "too many bytes"),
            (public(&curve(Nid::SECP256K1)), "another kind"),
            (public(&dsa), "another kind"),
        ];
        for (read, expected) in cases {
            let error = read.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(CosignKey::read(&pem).unwrap(), public(&key).unwrap());
    }
}
