//! Decides whether a message is signed by a trusted signer, and whether its list may replace the last one. This module
//! is pure: its input is bytes and a time, its output is a verdict.
//!
//! [`verify`] parses a message, verifies each signature (RFC 5652, RFC 9580), validates the path of each signer to a
//! trust anchor (RFC 5280) or finds its configured OpenPGP key, checks revocation, finds the endorser, and parses the
//! list. [`accept`] checks whether the list may replace the one in force. [`reverify`] verifies the list in force again
//! on each pass. Their results contain the checks in order, for display.

mod accept;
mod algorithm;
mod anchors;
mod appearance;
mod certificate;
mod chain;
mod check;
mod clock;
mod cms;
mod cosign;
mod crl;
mod endorsement;
mod envelope;
mod list;
mod message;
mod mime;
mod name;
mod namespace;
mod openpgp;
mod parts;
mod payload;
mod pem;
mod policy;
mod refusal;
mod repository;
mod reverification;
mod revocation;
mod revocation_list;
mod sign;
mod signed_text;
mod signer;
mod signer_info;
mod strength;
mod tlv;
mod verify;
mod weak_digest;

pub use accept::accept;
pub use anchors::{AnchorError, Anchors, AnchorsBuilder, holds_certificates};
pub use check::{Check, CheckResult, Rule};
pub use cosign::{CosignKey, CosignKeyError};
pub use envelope::{DecryptionKey, decrypt, expands, is_encrypted, is_openpgp_signature, is_plain_list, join_detached};
pub use list::{
    AcceptRequest, Acceptance, AcceptedList, AcceptedTag, LastAccepted, Reverification, RevokedSigner, Signer,
    TagState, Verification, VerifiedList,
};
pub use message::SignedMessage;
pub use name::{DistinguishedName, NameError};
pub(crate) use openpgp::is_cleartext as is_clear_signed;
pub use openpgp::sign as sign_openpgp;
pub use openpgp::{Fingerprint, FingerprintError, KeyError, OpenPgpSignError, PublicKey, SecretKey, SignatureForm};
pub use parts::{CHECKSUMS, SIMPLE_STREAMS, read_unverified, unverified_text, unverified_texts};
pub use policy::{
    AlgorithmPolicy, Credential, CredentialKind, CrlPolicy, EndorserPolicy, EndorserRule, OpenPgpCredential, Purpose,
    SignerName, TrustLevel, VerifyRequest,
};
pub use refusal::{Refusal, RefusalReason};
pub use reverification::reverify;
pub use revocation_list::{Freshness, RevocationList};
pub use sign::{SignError, SigningKey, sign};
pub use strength::KeyStrength;
pub use verify::verify;

pub use crate::digest::Sha256Digest;
