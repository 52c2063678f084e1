//! A public key whose self-signatures were proved: what its owner says of it. When that holds is judged later.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use pgp::packet::{self, Signature};
use pgp::ser::Serialize;
use pgp::types::{EddsaLegacyPublicParams, KeyDetails, KeyId, KeyVersion, PublicParams, VerifyingKey};

use super::keyring::{Certificate, Keyring};
use super::statement::{Binding, Prover, Revocation};
use super::{Fingerprint, facts};
use crate::trust::Sha256Digest;

/// The shortest modulus of an RSA key, in bits.
const SHORTEST_RSA: u16 = 2048;

/// Why bytes are no public key that a credential can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Beyond the bound.
    #[error("expected at most {limit} bytes of public keys, found more")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Not a public key. Nothing of it is repeated.
    #[error("expected a public key, found a secret one: it must never leave its owner, and is to be replaced")]
    Secret,
    /// Not OpenPGP, or broken.
    #[error("expected an OpenPGP public key (gpg --armor --export), found {found}")]
    Unreadable {
        /// What was found.
        found: String,
    },
    /// Other keys.
    #[error("expected the key {expected}, found {found}")]
    NotFound {
        /// The fingerprint of the credential.
        expected: Fingerprint,
        /// The primary keys that are there.
        found: String,
    },
    /// A key that proves nothing.
    #[error("expected RSA of {SHORTEST_RSA} bits or more, ECDSA or EdDSA, found {found}")]
    Weak {
        /// The key, and what is wrong with it.
        found: String,
    },
}

/// A primary key with its subkeys, and what was proved of them. Made from bytes alone, without a time.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) primary: Component<packet::PublicKey>,
    pub(super) subkeys: Vec<Component<packet::PublicSubkey>>,
    /// Its first name, for people.
    user: String,
}

/// A primary key or a subkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component<K> {
    pub(super) key: K,
    pub(super) fingerprint: Fingerprint,
    pub(super) id: KeyId,
    pub(super) created: Timestamp,
    /// Why its signatures prove nothing: its kind or its length.
    pub(super) weakness: Option<String>,
    /// The newest first.
    pub(super) bindings: Vec<Binding>,
    pub(super) revocations: Vec<Revocation>,
    /// SHA-256 of its public numbers, as X.509 writes them: the same key under two names is one key.
    pub(super) material: Sha256Digest,
}

impl PublicKey {
    /// Reads the one key that a credential names by its fingerprint or by that of one of its subkeys, out of files of
    /// armour or packets. Other keys beside it are only asked whether they revoke it.
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
        Self::prove(found, &ring).map(Arc::new)
    }

    /// Every key of a file, for commands.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Arc<Self>>, KeyError> {
        let ring = Keyring::read([bytes])?;
        if ring.certificates.is_empty() {
            return Err(KeyError::Unreadable { found: "no key".to_owned() });
        }
        ring.certificates.iter().map(|certificate| Self::prove(certificate, &ring).map(Arc::new)).collect()
    }

    fn prove(certificate: &Certificate, ring: &Keyring) -> Result<Self, KeyError> {
        let primary = Component::new(certificate.primary.clone());
        if let Some(weakness) = &primary.weakness {
            return Err(KeyError::Weak { found: format!("{}: {weakness}", primary.fingerprint) });
        }
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

    /// Its first name, as its owner gave it; empty where it has none. For people alone: anyone can write any name.
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
            weakness: weakness(&key),
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

/// Why a key proves nothing: RFC 9580 section 9.1 tells DSA and Elgamal to go, NIST SP 800-131A short RSA keys.
fn weakness(key: &impl KeyDetails) -> Option<String> {
    if !matches!(key.version(), KeyVersion::V4 | KeyVersion::V6) {
        return Some(format!("a key of version {:?}", key.version()));
    }
    match key.public_params() {
        PublicParams::RSA(numbers) => {
            // A number is written with its length in bits before it (RFC 9580 section 3.2).
            let written = numbers.to_bytes().unwrap_or_default();
            let bits = written.first_chunk::<2>().map_or(0, |bits| u16::from_be_bytes(*bits));
            (bits < SHORTEST_RSA).then(|| format!("RSA of {bits} bits"))
        }
        PublicParams::ECDSA(numbers) => (!numbers.is_supported()).then(|| "ECDSA over another curve".to_owned()),
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Unsupported { .. }) => {
            Some("EdDSA over another curve".to_owned())
        }
        PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. })
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => None,
        PublicParams::DSA(_) => Some("DSA".to_owned()),
        PublicParams::Elgamal(_) => Some("Elgamal".to_owned()),
        PublicParams::ECDH(_) | PublicParams::X25519(_) | PublicParams::X448(_) => {
            Some("a key for encryption".to_owned())
        }
        PublicParams::Unknown { .. } => Some("a kind of key that is not known".to_owned()),
    }
}
