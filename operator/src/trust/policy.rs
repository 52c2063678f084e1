//! The input of `verify`: which signers a subscription trusts, and how strict the checks are.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Anchors, CosignKey, DistinguishedName, Fingerprint, KeyStrength, PublicKey};
use crate::imagelist::{ListFormat, WantedImages};

/// How the CRL of each CA on a signer's path is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CrlPolicy {
    /// Every CA must have a CRL that it signed and that is within its validity period.
    #[default]
    Require,
    /// A CA may have no CRL. A CRL that exists must be valid.
    IfPresent,
    /// CRLs are not checked.
    Ignore,
}

/// How far an endorser, or one of its credentials, is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TrustLevel {
    /// It may sign.
    #[default]
    Trusted,
    /// No new list is accepted. The list in force stays.
    Hold,
    /// The lists that it signed are withdrawn.
    Revoked,
}

/// The required purpose of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Purpose {
    /// S/MIME signing. An extended key usage, if present, must contain `emailProtection` (RFC 8550 section 4.4.4).
    #[default]
    SmimeSign,
    /// Any extended key usage. A key usage, if present, must still allow signatures. For host certificates.
    Any,
}

/// The names that identify a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerName {
    /// The certificate's subject.
    pub subject: DistinguishedName,
    /// The certificate's issuer.
    pub issuer: DistinguishedName,
}

impl SignerName {
    /// Parses two texts. If one of them is not a name, the result matches no certificate.
    pub fn read(subject: &str, issuer: &str) -> Self {
        match (subject.parse(), issuer.parse()) {
            (Ok(subject), Ok(issuer)) => Self { subject, issuer },
            (Err(_), _) | (_, Err(_)) => {
                Self { subject: DistinguishedName::nobody(), issuer: DistinguishedName::nobody() }
            }
        }
    }
}

/// The kind of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialKind {
    /// A certificate, identified by its names. A renewed certificate is the same credential.
    X509 {
        /// The certificate's subject.
        subject: DistinguishedName,
        /// The certificate's issuer. `None` accepts any issuer; only `list verify --endorser` uses this.
        issuer: Option<DistinguishedName>,
        /// The required purpose of the certificate.
        purpose: Purpose,
    },
    /// An OpenPGP key, identified by its fingerprint.
    OpenPgp(OpenPgpCredential),
    /// A key that signs OCI artefacts.
    Cosign(CosignKey),
}

/// An OpenPGP key that signs lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPgpCredential {
    /// The fingerprint of the primary key, which includes all its subkeys that may sign, or of one such subkey.
    pub fingerprint: Fingerprint,
    /// The public key, or the reason why it is not available. Without the key, no signature counts for this credential.
    pub key: Result<Arc<PublicKey>, String>,
}

/// One credential of an endorser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name within the endorser.
    pub name: String,
    /// How far it is trusted.
    pub trust: TrustLevel,
    /// The certificate or key.
    pub kind: CredentialKind,
}

/// An `Endorser`: a person or organisation that may sign, with one or more credentials.
#[derive(Debug, Clone)]
pub struct EndorserRule {
    /// The name of the `Endorser` object.
    pub name: String,
    /// How far it is trusted.
    pub trust: TrustLevel,
    /// How CRLs on the paths of its signers are checked.
    pub crl_policy: CrlPolicy,
    /// Its own trust anchors. `None` means those of the request.
    pub anchors: Option<Arc<Anchors>>,
    /// Its credentials. A signature with any of them counts for this endorser.
    pub credentials: Vec<Credential>,
}

impl VerifyRequest<'_> {
    /// All OpenPGP keys that signatures can be verified with.
    pub(super) fn public_keys(&self) -> Vec<Arc<PublicKey>> {
        let key = |credential: &Credential| match &credential.kind {
            CredentialKind::OpenPgp(OpenPgpCredential { key: Ok(key), .. }) => Some(Arc::clone(key)),
            CredentialKind::OpenPgp(_) | CredentialKind::X509 { .. } | CredentialKind::Cosign(_) => None,
        };
        self.policy.endorsers().iter().flat_map(|rule| &rule.credentials).filter_map(key).collect()
    }

    /// All keys that signatures of OCI artefacts can be verified with, also those that an endorser of the namespace marks
    /// as revoked: a signature does not say which key made it.
    pub(super) fn cosign_keys(&self) -> Vec<CosignKey> {
        let kinds =
            self.policy.endorsers().iter().flat_map(|rule| &rule.credentials).map(|credential| &credential.kind);
        let mut keys: Vec<CosignKey> = Vec::new();
        for kind in kinds.chain(self.revoked) {
            match kind {
                CredentialKind::Cosign(key) => keys.extend((!keys.contains(key)).then(|| key.clone())),
                CredentialKind::OpenPgp(_) | CredentialKind::X509 { .. } => {}
            }
        }
        keys
    }
}

impl EndorserRule {
    /// The credentials that this endorser marks as revoked; all of them if the endorser itself is revoked. They are
    /// revoked for every endorser of the namespace; see [`VerifyRequest::revoked`].
    pub fn revoked_credentials(&self) -> impl Iterator<Item = &CredentialKind> {
        let revoked =
            |credential: &&Credential| self.trust == TrustLevel::Revoked || credential.trust == TrustLevel::Revoked;
        self.credentials.iter().filter(revoked).map(|credential| &credential.kind)
    }
}

/// Who must have signed.
#[derive(Debug, Clone, Copy)]
pub enum EndorserPolicy<'a> {
    /// Only these endorsers count, and at least `required` different ones must have signed.
    Enforce {
        /// The endorsers that the subscription references.
        endorsers: &'a [EndorserRule],
        /// The number of different endorsers that must have signed.
        required: NonZeroUsize,
    },
    /// The first signer with a valid path to an anchor is accepted. After that, only this signer is.
    AutoEndorse {
        /// The signer that was accepted first.
        pinned: Option<&'a SignerName>,
        /// How CRLs are checked.
        crl_policy: CrlPolicy,
    },
    /// Any signer with a valid path to an anchor is accepted (`list verify` without an endorser). Such a list is never
    /// used in a plan.
    NotAsked {
        /// How CRLs are checked.
        crl_policy: CrlPolicy,
    },
}

impl<'a> EndorserPolicy<'a> {
    /// The endorsers that the subscription references.
    pub(super) fn endorsers(&self) -> &'a [EndorserRule] {
        match self {
            Self::Enforce { endorsers, .. } => endorsers,
            Self::AutoEndorse { .. } | Self::NotAsked { .. } => &[],
        }
    }

    /// The number of different endorsers that must have signed.
    pub(super) fn required(&self) -> usize {
        match self {
            Self::Enforce { required, .. } => required.get(),
            Self::AutoEndorse { .. } | Self::NotAsked { .. } => 1,
        }
    }
}

/// Which digests and keys are allowed in signatures. SHA-2 and better are always allowed; weak digests only if enabled
/// here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AlgorithmPolicy {
    /// Allows SHA-1, for old archives.
    pub allow_sha1: bool,
    /// Allows MD5, for older archives.
    pub allow_md5: bool,
    /// The minimum strength of a key that signs a text or a certificate. For OpenPGP keys it is at least the floor.
    pub weakest_key: KeyStrength,
}

/// The input of `verify`.
#[derive(Debug, Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The trust anchors for every endorser that has none of its own.
    pub anchors: &'a Anchors,
    /// Who must have signed.
    pub policy: EndorserPolicy<'a>,
    /// Credentials that any endorser of the namespace marks as revoked. They are revoked for all endorsers.
    pub revoked: &'a [CredentialKind],
    /// The allowed digests and keys.
    pub algorithms: AlgorithmPolicy,
    /// How the message becomes a list.
    pub format: &'a ListFormat,
    /// The part of the list that is kept; `None` means all of it.
    pub wanted: Option<WantedImages<'a>>,
    /// The time of the check.
    pub at: Timestamp,
}
