//! Parses exported public keys (RFC 9580 section 10.1) into keys, user IDs, and the signatures on each. Nothing is
//! verified here.

use pgp::packet::{Packet, PublicKey, PublicSubkey, Signature, SignatureType, UserId};
use pgp::types::KeyDetails;

use super::{Fingerprint, armor, packets};

/// The maximum total size of the files with public keys, in bytes.
const LARGEST: usize = 1 << 20;
/// The maximum number of primary keys, and of user IDs and of subkeys of one key.
const MOST_KEYS: usize = 64;
const MOST_PARTS: usize = 64;

/// The bytes contain no public key that a credential can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file is too large.
    #[error("expected at most {limit} bytes of public keys, found more")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A secret key. Its content is not repeated in the message.
    #[error("expected a public key, found a secret one: a secret key must never leave its owner; replace it")]
    Secret,
    /// The bytes are not OpenPGP, or are broken.
    #[error("expected an OpenPGP public key (gpg --armor --export), found {found}")]
    Unreadable {
        /// What was found.
        found: String,
    },
    /// The file contains only other keys.
    #[error("expected the key {expected}, found {found}")]
    NotFound {
        /// The fingerprint of the credential.
        expected: Fingerprint,
        /// The primary keys in the file.
        found: String,
    },
    /// The key is too weak, or of an algorithm that is not supported.
    #[error("{key}: {why}")]
    Weak {
        /// The key.
        key: Fingerprint,
        /// What was expected, and what was found.
        why: String,
    },
}

/// A primary key with its user IDs, subkeys and signatures, not verified.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) primary: PublicKey,
    /// Signatures on the primary key itself: direct ones and revocations.
    pub(super) direct: Vec<Signature>,
    /// User IDs. `None` is a user attribute (a picture), which is ignored.
    pub(super) users: Vec<(Option<UserId>, Vec<Signature>)>,
    pub(super) subkeys: Vec<(PublicSubkey, Vec<Signature>)>,
}

/// The object that the next signature is on.
enum Place {
    Direct,
    User(usize),
    Subkey(usize),
}

/// All keys of the files, and the separate revocations, as `gpg --generate-revocation` writes them.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    pub(super) certificates: Vec<Certificate>,
    pub(super) revocations: Vec<Signature>,
}

impl Certificate {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.primary.fingerprint())
    }
}

impl Keyring {
    /// Reads files that contain blocks of ASCII armour, or binary packets. If a key is there twice, the signatures of
    /// both copies are merged, so that an old copy cannot hide a revocation.
    pub(super) fn read<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        let mut room = LARGEST;
        for file in files {
            room = room.checked_sub(file.len()).ok_or(KeyError::TooLarge { limit: LARGEST })?;
            ring.add_file(file)?;
        }
        Ok(ring)
    }

    fn add_file(&mut self, file: &[u8]) -> Result<(), KeyError> {
        let mut rest = file.trim_ascii_start();
        if !rest.starts_with(b"-----BEGIN ") {
            return self.add(file);
        }
        while !rest.is_empty() {
            let block = armor::read(rest).map_err(|found| KeyError::Unreadable { found })?;
            match block.label {
                "PGP PUBLIC KEY BLOCK" => self.add(&block.bytes)?,
                "PGP PRIVATE KEY BLOCK" => return Err(KeyError::Secret),
                other => return Err(KeyError::Unreadable { found: format!("armour of {other}") }),
            }
            rest = block.rest.trim_ascii_start();
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        let unreadable = |found: &str| KeyError::Unreadable { found: found.to_owned() };
        let mut open: Option<(usize, Place)> = None;
        for packet in packets::read(bytes).map_err(|found| KeyError::Unreadable { found })? {
            match (packet, &mut open) {
                (Packet::PublicKey(key), _) => open = Some((self.place_of(key)?, Place::Direct)),
                (Packet::Signature(signature), None) => self.add_alone(signature)?,
                (Packet::Signature(signature), Some((at, place))) => self.certificates[*at].sign(place, signature),
                (Packet::UserId(id), Some((at, place))) => *place = self.certificates[*at].user(Some(id))?,
                (Packet::UserAttribute(_), Some((at, place))) => *place = self.certificates[*at].user(None)?,
                (Packet::PublicSubkey(key), Some((at, place))) => *place = self.certificates[*at].subkey(key)?,
                (Packet::Trust(_) | Packet::Marker(_) | Packet::Padding(_), _) => {}
                (Packet::SecretKey(_) | Packet::SecretSubkey(_), _) => return Err(KeyError::Secret),
                (Packet::UserId(_) | Packet::UserAttribute(_) | Packet::PublicSubkey(_), None) => {
                    return Err(unreadable("a part of a key without its primary key"));
                }
                (
                    Packet::CompressedData(_)
                    | Packet::LiteralData(_)
                    | Packet::ModDetectionCode(_)
                    | Packet::OnePassSignature(_)
                    | Packet::PublicKeyEncryptedSessionKey(_)
                    | Packet::SymEncryptedData(_)
                    | Packet::SymEncryptedProtectedData(_)
                    | Packet::SymKeyEncryptedSessionKey(_)
                    | Packet::GnupgAeadData(_),
                    _,
                ) => return Err(unreadable("an OpenPGP message")),
            }
        }
        Ok(())
    }

    fn place_of(&mut self, key: PublicKey) -> Result<usize, KeyError> {
        if let Some(at) = self.certificates.iter().position(|other| other.primary == key) {
            return Ok(at);
        }
        let at = self.certificates.len();
        room(at, MOST_KEYS, "keys")?;
        let (direct, users, subkeys) = (Vec::new(), Vec::new(), Vec::new());
        self.certificates.push(Certificate { primary: key, direct, users, subkeys });
        Ok(at)
    }

    fn add_alone(&mut self, signature: Signature) -> Result<(), KeyError> {
        if signature.typ() != Some(SignatureType::KeyRevocation) {
            return Err(KeyError::Unreadable { found: "a signature without the key that it is on".to_owned() });
        }
        self.revocations.push(signature);
        Ok(())
    }
}

impl Certificate {
    fn user(&mut self, user: Option<UserId>) -> Result<Place, KeyError> {
        if let Some(at) = self.users.iter().position(|(other, _)| *other == user) {
            return Ok(Place::User(at));
        }
        room(self.users.len(), MOST_PARTS, "names of one key")?;
        self.users.push((user, Vec::new()));
        Ok(Place::User(self.users.len() - 1))
    }

    fn subkey(&mut self, key: PublicSubkey) -> Result<Place, KeyError> {
        if let Some(at) = self.subkeys.iter().position(|(other, _)| *other == key) {
            return Ok(Place::Subkey(at));
        }
        room(self.subkeys.len(), MOST_PARTS, "subkeys of one key")?;
        self.subkeys.push((key, Vec::new()));
        Ok(Place::Subkey(self.subkeys.len() - 1))
    }

    fn sign(&mut self, place: &Place, signature: Signature) {
        match place {
            Place::Direct => self.direct.push(signature),
            Place::User(at) => self.users[*at].1.push(signature),
            Place::Subkey(at) => self.subkeys[*at].1.push(signature),
        }
    }
}

fn room(count: usize, most: usize, what: &str) -> Result<(), KeyError> {
    if count < most { Ok(()) } else { Err(KeyError::Unreadable { found: format!("more than {most} {what}") }) }
}
