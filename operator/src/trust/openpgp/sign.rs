//! Signing a list with OpenPGP, for small publishers and for tests.

use jiff::Timestamp;
use pgp::composed::{ArmorOptions, CleartextSignedMessage, Deserializable, DetachedSignature, SignedSecretKey};
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyVersion, Password, SigningKey};
use secrecy::{ExposeSecret, SecretString};

use super::{Fingerprint, KeyError, PublicKey};
use crate::trust::Refusal;

/// A secret key, and the choice of the (sub)key that signs. `Debug` shows only its fingerprint.
pub struct SecretKey {
    key: SignedSecretKey,
    /// The newest subkey that may sign; `None` means the primary key.
    subkey: Option<usize>,
    fingerprint: Fingerprint,
    /// The fingerprint of the primary key.
    primary: Fingerprint,
    password: Password,
}

/// The form of the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForm {
    /// A clear-signed text, with its signature below (RFC 9580 section 7).
    Clear,
    /// A detached signature over the unchanged text: `<list>.asc`.
    Detached,
}

/// The list cannot be signed. The messages never contain a key or a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenPgpSignError {
    /// The file is not a secret key.
    #[error("expected one OpenPGP secret key (gpg --export-secret-keys --armor), found none that can be read")]
    Unreadable,
    /// Its public key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// None of its keys may sign.
    #[error("expected a key that sites take, found: {0}")]
    NotGood(Refusal),
    /// The list is not text.
    #[error("expected a list in UTF-8, found other bytes")]
    NotText,
    /// The password is wrong, or the key is not in the file.
    #[error("the secret key {fingerprint} could not sign: is it in the file, and is its password right?")]
    Locked {
        /// The fingerprint of the key.
        fingerprint: Fingerprint,
    },
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint)
    }
}

impl SecretKey {
    /// Reads one secret key, in ASCII armour or binary packets, and chooses the key that signs: the newest subkey that
    /// may sign at that time, or else the primary key.
    pub fn read(bytes: &[u8], password: Option<&SecretString>, at: Timestamp) -> Result<Self, OpenPgpSignError> {
        let unreadable = |_| OpenPgpSignError::Unreadable;
        let (key, _) = SignedSecretKey::from_reader_single(bytes).map_err(unreadable)?;
        let public = key.to_public_key().to_bytes().map_err(unreadable)?;
        let public = PublicKey::read_all(&public)?;
        let public = public.first().ok_or(OpenPgpSignError::Unreadable)?;
        let named = |at: &usize| Fingerprint::of(&pgp::types::KeyDetails::fingerprint(&key.secret_subkeys[*at].key));
        let subkey = (0..key.secret_subkeys.len()).rev().find(|index| public.good(&named(index), at).is_ok());
        let fingerprint = subkey.as_ref().map_or_else(|| public.fingerprint().clone(), named);
        public.good(&fingerprint, at).map_err(OpenPgpSignError::NotGood)?;
        let password = password.map_or_else(Password::empty, |password| Password::from(password.expose_secret()));
        Ok(Self { key, subkey, fingerprint, primary: public.fingerprint().clone(), password })
    }

    /// The fingerprint of the key that signs. `hv:dn` can name it as `openpgp4fpr:…`.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The fingerprints by which a list can name the signer: of the key that signs, and of its primary key.
    pub fn fingerprints(&self) -> [&Fingerprint; 2] {
        [&self.fingerprint, &self.primary]
    }

    fn signature(&self, text: &[u8], kind: SignatureType, at: Timestamp) -> Result<Signature, OpenPgpSignError> {
        let made = match self.subkey {
            Some(index) => signature_by(&self.key.secret_subkeys[index].key, &self.password, text, kind, at),
            None => signature_by(&self.key.primary_key, &self.password, text, kind, at),
        };
        made.map_err(|_| OpenPgpSignError::Locked { fingerprint: self.fingerprint.clone() })
    }
}

/// Signs a list at a time, with the digest that the key requires. The clear-signed form removes white space at the ends
/// of lines, because it is not covered by the signature.
pub fn sign(text: &[u8], key: &SecretKey, form: SignatureForm, at: Timestamp) -> Result<Vec<u8>, OpenPgpSignError> {
    let locked = |_| OpenPgpSignError::Locked { fingerprint: key.fingerprint.clone() };
    match form {
        SignatureForm::Detached => {
            let signature = key.signature(text, SignatureType::Binary, at)?;
            DetachedSignature::new(signature).to_armored_bytes(ArmorOptions::default()).map_err(locked)
        }
        SignatureForm::Clear => {
            let text = std::str::from_utf8(text).map_err(|_| OpenPgpSignError::NotText)?;
            let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            let mut failed = None;
            let signed = CleartextSignedMessage::new_many(&text, |canonical| {
                let made = key.signature(canonical.as_bytes(), SignatureType::Text, at);
                Ok(made.map_err(|error| failed = Some(error)).into_iter().collect())
            });
            if let Some(error) = failed {
                return Err(error);
            }
            signed.and_then(|signed| signed.to_armored_bytes(ArmorOptions::default())).map_err(locked)
        }
    }
}

fn signature_by(
    key: &impl SigningKey,
    password: &Password,
    text: &[u8],
    kind: SignatureType,
    at: Timestamp,
) -> pgp::errors::Result<Signature> {
    let digest = key.hash_alg();
    let mut config = match key.version() {
        KeyVersion::V6 => {
            let mut salt = vec![0; digest.salt_len().unwrap_or_default()];
            openssl::rand::rand_bytes(&mut salt).map_err(std::io::Error::other)?;
            SignatureConfig::v6_with_salt(kind, key.algorithm(), digest, salt)
        }
        _ => SignatureConfig::v4(kind, key.algorithm(), digest),
    };
    let seconds = u32::try_from(at.as_second()).unwrap_or_default();
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(pgp::types::Timestamp::from_secs(seconds)))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    if key.version() == KeyVersion::V4 {
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    }
    config.sign(key, password, text)
}
