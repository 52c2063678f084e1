//! Why bytes contain no public key that a credential can use.

use super::Fingerprint;

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
