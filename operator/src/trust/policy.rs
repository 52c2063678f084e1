//! Whom a subscription believes, and how strictly: what `verify` is asked with.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Anchors, DistinguishedName, Fingerprint, KeyStrength, PublicKey};
use crate::imagelist::Wanted;

/// What is asked of the CRL of each CA on a signer's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CrlPolicy {
    /// Every CA must have a CRL that is signed by it and in its time.
    #[default]
    Require,
    /// A CA without a CRL is fine; a CRL that is there must be good.
    IfPresent,
    /// CRLs are not looked at.
    Ignore,
}

/// How far an endorser, or one of its credentials, is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TrustLevel {
    /// It may sign.
    #[default]
    Trusted,
    /// Nothing new is accepted; what is in force stays.
    Hold,
    /// What it signed goes out now.
    Revoked,
}

/// What a certificate must be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Purpose {
    /// S/MIME signing: `emailProtection` where an extended key usage is present (RFC 8550 section 4.4.4).
    #[default]
    SmimeSign,
    /// Any extended key usage; a key usage, where present, must still allow signatures. For host certificates.
    Any,
}

/// A certificate by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerName {
    /// The certificate's subject.
    pub subject: DistinguishedName,
    /// The certificate's issuer.
    pub issuer: DistinguishedName,
}

impl SignerName {
    /// From two texts, as they were shown. A text that is no name is nobody's.
    pub fn read(subject: &str, issuer: &str) -> Self {
        match (subject.parse(), issuer.parse()) {
            (Ok(subject), Ok(issuer)) => Self { subject, issuer },
            (Err(_), _) | (_, Err(_)) => {
                Self { subject: DistinguishedName::nobody(), issuer: DistinguishedName::nobody() }
            }
        }
    }
}

/// What a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialKind {
    /// A certificate by its names; a renewed one is the same.
    X509 {
        /// The certificate's subject.
        subject: DistinguishedName,
        /// The certificate's issuer; `None` takes any (only `list verify --endorser` asks so).
        issuer: Option<DistinguishedName>,
        /// What the certificate must be made for.
        purpose: Purpose,
    },
    /// An OpenPGP key by its fingerprint.
    OpenPgp(OpenPgpCredential),
}

/// An OpenPGP key that somebody signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPgpCredential {
    /// Of the primary key, which stands for all its subkeys that may sign, or of one such subkey.
    pub fingerprint: Fingerprint,
    /// The public key; or why it is not here, so that nothing counts for this credential meanwhile.
    pub key: Result<Arc<PublicKey>, String>,
}

/// One credential of an endorser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name within the endorser.
    pub name: String,
    /// How far it is trusted.
    pub trust: TrustLevel,
    /// What it is.
    pub kind: CredentialKind,
}

/// An `Endorser`: somebody who may sign, with one or more credentials.
#[derive(Debug, Clone)]
pub struct EndorserRule {
    /// Its object's name.
    pub name: String,
    /// How far it is trusted.
    pub trust: TrustLevel,
    /// What is asked of CRLs on its signers' paths.
    pub crl_policy: CrlPolicy,
    /// Its own trust anchors; `None`: those of the request.
    pub anchors: Option<Arc<Anchors>>,
    /// Any one of them is this endorser.
    pub credentials: Vec<Credential>,
}

impl VerifyRequest<'_> {
    /// Every OpenPGP key that a signature may be proved with.
    pub(super) fn public_keys(&self) -> Vec<Arc<PublicKey>> {
        let EndorserPolicy::Enforce { endorsers, .. } = self.policy else { return Vec::new() };
        let key = |credential: &Credential| match &credential.kind {
            CredentialKind::OpenPgp(OpenPgpCredential { key: Ok(key), .. }) => Some(Arc::clone(key)),
            CredentialKind::OpenPgp(_) | CredentialKind::X509 { .. } => None,
        };
        endorsers.iter().flat_map(|rule| &rule.credentials).filter_map(key).collect()
    }
}

impl EndorserRule {
    /// The credentials that this endorser calls revoked: all of them where it is revoked itself. They are revoked for
    /// every endorser of the namespace; see [`VerifyRequest::revoked`].
    pub fn revoked_credentials(&self) -> impl Iterator<Item = &CredentialKind> {
        let revoked =
            |credential: &&Credential| self.trust == TrustLevel::Revoked || credential.trust == TrustLevel::Revoked;
        self.credentials.iter().filter(revoked).map(|credential| &credential.kind)
    }
}

/// Who must have signed.
#[derive(Debug, Clone, Copy)]
pub enum EndorserPolicy<'a> {
    /// Only these, and as many different ones as are required.
    Enforce {
        /// The endorsers that the subscription references.
        endorsers: &'a [EndorserRule],
        /// How many different ones must have signed.
        required: NonZeroUsize,
    },
    /// The first signer that leads to an anchor, and from then on only that one.
    AutoEndorse {
        /// The signer that was seen first.
        pinned: Option<&'a SignerName>,
        /// What is asked of CRLs.
        crl_policy: CrlPolicy,
    },
    /// Anyone who leads to an anchor (`list verify` without an endorser). Such a list never enters a plan.
    NotAsked {
        /// What is asked of CRLs.
        crl_policy: CrlPolicy,
    },
}

/// Which digests and keys signatures may use. SHA-2 and better always; the weak ones only where they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AlgorithmPolicy {
    /// SHA-1, for old archives.
    pub allow_sha1: bool,
    /// MD5, for older ones.
    pub allow_md5: bool,
    /// The weakest key that may sign, a text or a certificate. An OpenPGP key never has less than the floor.
    pub weakest_key: KeyStrength,
}

/// What `verify` is asked.
#[derive(Debug, Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The anchors in force, for every endorser that has none of its own.
    pub anchors: &'a Anchors,
    /// Who must have signed.
    pub policy: EndorserPolicy<'a>,
    /// Credentials that some endorser of the namespace calls revoked: revoked for everyone.
    pub revoked: &'a [CredentialKind],
    /// Which digests and keys may be used.
    pub algorithms: AlgorithmPolicy,
    /// What is kept of the list; `None`: all of it.
    pub wanted: Option<Wanted<'a>>,
    /// The time of the check.
    pub at: Timestamp,
}
