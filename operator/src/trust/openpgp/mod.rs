//! OpenPGP (RFC 9580, and RFC 4880 before it): clear-signed, signed and detached lists, by keys that are given by hand.
//!
//! The packets and the mathematics are the library's (`pgp`); what may stand in a message, which bytes were signed,
//! and what makes a key good is here. There is no web of trust: a key counts because a credential has its fingerprint.

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

pub use fingerprint::{Fingerprint, FingerprintError};
pub use key::{KeyError, PublicKey};
pub use sign::{OpenPgpSignError, SecretKey, SignatureForm, sign};

pub(super) use cleartext::is_cleartext;
pub(super) use judge::judge;
pub(super) use message::{DataSignature, Message, Signer, detached, is_detached, is_openpgp, read};
