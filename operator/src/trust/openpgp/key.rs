//! A public key with verified self-signatures. Whether they are valid at a given time is checked later.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use pgp::packet::{self, Signature};
use pgp::ser::Serialize;
use pgp::types::{
    EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, KeyId, KeyVersion, PublicParams, VerifyingKey,
};

use super::keyring::{Certificate, KeyError, Keyring};
use super::statement::{Binding, Prover, Revocation};
use super::{Fingerprint, facts};
use crate::trust::strength::Judged;
use crate::trust::{KeyStrength, Sha256Digest};

/// A primary key with its subkeys and their verified self-signatures. It is made from bytes alone and does not depend
/// on a time.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) primary: Component<packet::PublicKey>,
    pub(super) subkeys: Vec<Component<packet::PublicSubkey>>,
    /// Its first user ID, for display.
    user: String,
}

/// A primary key or a subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component<K> {
    pub(super) key: K,
    pub(super) fingerprint: Fingerprint,
    pub(super) id: KeyId,
    pub(super) created: Timestamp,
    /// Its strength, or the name of its algorithm if that is not supported.
    pub(super) kind: Result<Judged, String>,
    /// Sorted from the newest to the oldest.
    pub(super) bindings: Vec<Binding>,
    pub(super) revocations: Vec<Revocation>,
    /// SHA-256 of its public key as X.509 encodes it. The same key under two names has the same digest.
    pub(super) material: Sha256Digest,
}

impl PublicKey {
    /// Reads the key that a credential names by its fingerprint or by that of one of its subkeys, from files in ASCII
    /// armour or binary packets. Other keys in the files are only checked for revocations of it.
    pub fn read<'a>(
        files: impl IntoIterator<Item = &'a [u8]>,
        fingerprint: &Fingerprint,
    ) -> Result<Arc<Self>, KeyError> {
        let ring = Keyring::read(files)?;
        let is_named = |certificate: &&Certificate| {
            certificate.fingerprint() == *fingerprint
                || certificate.subkeys.iter().any(|(key, _)| Fingerprint::of(&key.fingerprint()) == *fingerprint)
        };
        let found = ring.certificates.iter().find(is_named).ok_or_else(|| {
            let names: Vec<String> = ring.certificates.iter().map(|one| one.fingerprint().to_string()).collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            KeyError::NotFound { expected: fingerprint.clone(), found }
        })?;
        Self::verify_signature(found, &ring).map(Arc::new)
    }

    /// Every key of a file, for commands.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Arc<Self>>, KeyError> {
        let ring = Keyring::read([bytes])?;
        if ring.certificates.is_empty() {
            return Err(KeyError::Unreadable { found: "no key".to_owned() });
        }
        ring.certificates.iter().map(|certificate| Self::verify_signature(certificate, &ring).map(Arc::new)).collect()
    }

    fn verify_signature(certificate: &Certificate, ring: &Keyring) -> Result<Self, KeyError> {
        let primary = Component::new(certificate.primary.clone());
        let other = |kind: &String| format!("expected RSA, ECDSA or EdDSA, found {kind}");
        let strong = primary.kind.as_ref().map_err(other).and_then(|judged| judged.reaches(KeyStrength::FLOOR));
        strong.map_err(|why| KeyError::Weak { key: primary.fingerprint.clone(), why })?;
        let prover = Prover::new(certificate, ring);
        let (bindings, revocations) = prover.primary()?;
        let subkeys = certificate.subkeys.iter().map(|(key, signatures)| {
            let (bindings, revocations) = prover.subkey(key, signatures)?;
            Ok(Component { bindings, revocations, ..Component::new(key.clone()) })
        });
        let subkeys = subkeys.collect::<Result<_, KeyError>>()?;
        Ok(Self { primary: Component { bindings, revocations, ..primary }, subkeys, user: first_user(certificate) })
    }

    /// The fingerprint of the primary key.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.primary.fingerprint
    }

    /// Its first user ID; empty if it has none. For display only, because anyone can choose any user ID.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether a fingerprint is that of the key or of one of its subkeys.
    pub(in super::super) fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.primary.fingerprint == *fingerprint || self.subkeys.iter().any(|subkey| subkey.fingerprint == *fingerprint)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.primary.fingerprint)
    }
}

fn first_user(certificate: &Certificate) -> String {
    let first = certificate.users.iter().find_map(|(user, _)| user.as_ref());
    super::super::refusal::bounded(first.map(|id| String::from_utf8_lossy(id.id()).into_owned()).unwrap_or_default())
}

impl<K: KeyDetails + VerifyingKey + Serialize> Component<K> {
    fn new(key: K) -> Self {
        Self {
            fingerprint: Fingerprint::of(&key.fingerprint()),
            id: key.legacy_key_id(),
            created: facts::timestamp(key.created_at()),
            kind: kind(&key),
            bindings: Vec::new(),
            revocations: Vec::new(),
            material: super::material::digest(key.public_params()),
            key,
        }
    }

    /// Whether its key made a signature over a text.
    pub(super) fn made(&self, signature: &Signature, text: &[u8]) -> bool {
        signature.verify(&self.key, text).is_ok()
    }
}

/// The strength of a key, or the name of its algorithm if that is not supported. RFC 9580 section 9.1 deprecates DSA
/// and Elgamal.
fn kind(key: &impl KeyDetails) -> Result<Judged, String> {
    if !matches!(key.version(), KeyVersion::V4 | KeyVersion::V6) {
        return Err(format!("a key of version {:?}", key.version()));
    }
    let curve = |bits, kind: &str| Ok(Judged { strength: KeyStrength::of_bits(bits), kind: kind.to_owned() });
    match key.public_params() {
        PublicParams::RSA(numbers) => {
            // A multiprecision integer begins with its length in bits (RFC 9580 section 3.2).
            let written = numbers.to_bytes().unwrap_or_default();
            Ok(Judged::rsa(written.first_chunk::<2>().map_or(0, |bits| u32::from(u16::from_be_bytes(*bits)))))
        }
        PublicParams::ECDSA(EcdsaPublicParams::P256 { .. }) => curve(128, "ECDSA over P-256"),
        PublicParams::ECDSA(EcdsaPublicParams::P384 { .. }) => curve(192, "ECDSA over P-384"),
        PublicParams::ECDSA(EcdsaPublicParams::P521 { .. }) => curve(256, "ECDSA over P-521"),
        PublicParams::ECDSA(EcdsaPublicParams::Secp256k1 { .. }) => curve(128, "ECDSA over secp256k1"),
        PublicParams::ECDSA(EcdsaPublicParams::Unsupported { .. }) => Err("ECDSA over another curve".to_owned()),
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Unsupported { .. }) => {
            Err("EdDSA over another curve".to_owned())
        }
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }) | PublicParams::Ed25519(_) => {
            curve(128, "Ed25519")
        }
        PublicParams::Ed448(_) => curve(224, "Ed448"),
        PublicParams::DSA(_) => Err("DSA".to_owned()),
        PublicParams::Elgamal(_) => Err("Elgamal".to_owned()),
        PublicParams::ECDH(_) | PublicParams::X25519(_) | PublicParams::X448(_) => {
            Err("a key for encryption".to_owned())
        }
        PublicParams::Unknown { .. } => Err("a kind of key that is not known".to_owned()),
    }
}
