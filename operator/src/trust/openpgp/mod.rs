//! OpenPGP (RFC 9580, formerly RFC 4880): clear-signed, signed and detached lists, verified with configured keys.
//!
//! The library `pgp` parses packets and does the cryptography. This module decides what a message may contain, which
//! bytes were signed, and whether a key is valid. There is no web of trust: a key is trusted because a credential has
//! its fingerprint.

mod armor;
mod cleartext;
mod facts;
mod fingerprint;
mod judge;
mod key;
mod keyring;
mod material;
mod message;
mod packets;
mod sign;
mod statement;

pub(crate) use cleartext::is_cleartext;
pub use fingerprint::{Fingerprint, FingerprintError};
pub(super) use judge::judge;
pub use key::PublicKey;
pub use keyring::KeyError;
pub(super) use message::{DataSignature, Message, Signer, detached, is_detached, is_openpgp, read};
pub use sign::{OpenPgpSignError, SecretKey, SignatureForm, sign};
