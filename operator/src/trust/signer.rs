//! The signer of a message: the holder of a certificate's key, or of an OpenPGP key.

use std::fmt;

use jiff::Timestamp;

use super::certificate::Certificate;
use super::{CosignKey, CredentialKind, Fingerprint, OpenPgpCredential, Sha256Digest, SignerName, openpgp};

/// One signature of a message, and its signer.
#[derive(Debug, Clone)]
pub(super) enum AuthenticatedSigner {
    /// A verified signature, and the certificate whose key made it.
    X509 {
        certificate: Certificate,
        /// The other certificates in the message, for the path.
        carried: Vec<Certificate>,
        weak_digests: Vec<&'static str>,
    },
    /// An OpenPGP signature. If the key that it names is not available, it is not verified and does not count.
    OpenPgp(openpgp::Signer),
    /// A verified signature of an OCI artefact, and the key that made it.
    Cosign(CosignKey),
}

/// The names by which a list can name a signer.
#[derive(Debug, Clone)]
pub(super) enum SignerNames {
    /// Subject and issuer.
    X509(SignerName),
    /// The fingerprints of the key that signed and of its primary key.
    OpenPgp(Vec<Fingerprint>),
    /// A key has no name that a list could have.
    Cosign,
}

impl AuthenticatedSigner {
    /// The certificate's subject, or the key's fingerprint as a name.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::X509 { certificate, .. } => certificate.shown(),
            Self::OpenPgp(signer) => signer.shown(),
            Self::Cosign(key) => key.as_name(),
        }
    }

    /// The same, with the certificate's issuer, for messages.
    pub(super) fn described(&self) -> String {
        match self {
            Self::X509 { certificate, .. } => format!("{} (issuer {})", certificate.shown(), certificate.issuer),
            Self::OpenPgp(_) | Self::Cosign(_) => self.shown(),
        }
    }

    /// The subject and issuer for status. For an OpenPGP key, the subject is the fingerprint of the credential's
    /// primary key.
    pub(super) fn status_names(&self, credential: Option<&CredentialKind>) -> (String, String) {
        match (self, credential) {
            (Self::X509 { certificate, .. }, _) => (certificate.shown(), certificate.issuer.to_string()),
            (Self::OpenPgp(_), Some(CredentialKind::OpenPgp(OpenPgpCredential { key: Ok(key), .. }))) => {
                (key.fingerprint().as_name(), String::new())
            }
            (Self::OpenPgp(_) | Self::Cosign(_), _) => (self.shown(), String::new()),
        }
    }

    /// Whether the signature was verified. An OpenPGP signature whose key is not available is not.
    pub(super) fn is_proven(&self) -> bool {
        match self {
            Self::X509 { .. } | Self::Cosign(_) => true,
            Self::OpenPgp(signer) => signer.is_proven(),
        }
    }

    /// When an OpenPGP signature says that it was made, whether it was verified or not.
    pub(super) fn dated(&self) -> Option<Timestamp> {
        match self {
            Self::X509 { .. } | Self::Cosign(_) => None,
            Self::OpenPgp(signer) => Some(signer.dated()),
        }
    }

    /// When an OpenPGP signature was made, if it was verified.
    pub(super) fn made(&self) -> Option<Timestamp> {
        match self {
            Self::X509 { .. } | Self::Cosign(_) => None,
            Self::OpenPgp(signer) => signer.made(),
        }
    }

    /// A digest that identifies the signer: SHA-256 of the DER of the certificate. For an OpenPGP key, SHA-256 of its
    /// fingerprint name, which is known from the signature even without the key.
    pub(super) fn digest(&self) -> Sha256Digest {
        match self {
            Self::X509 { certificate, .. } => certificate.digest,
            Self::OpenPgp(signer) => Sha256Digest::of(signer.shown().as_bytes()),
            Self::Cosign(key) => key.digest(),
        }
    }

    /// Whether two signers are the same person: they have the same name or the same key, in any signature format.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::X509 { certificate: a, .. }, Self::X509 { certificate: b, .. }) => {
                a.key == b.key || (a.subject == b.subject && a.issuer == b.issuer)
            }
            (Self::OpenPgp(a), Self::OpenPgp(b)) => a.is_same(b),
            (Self::X509 { certificate, .. }, Self::OpenPgp(signer))
            | (Self::OpenPgp(signer), Self::X509 { certificate, .. }) => signer.material() == Some(certificate.key),
            (Self::Cosign(a), Self::Cosign(b)) => a == b,
            (Self::Cosign(key), Self::X509 { certificate, .. })
            | (Self::X509 { certificate, .. }, Self::Cosign(key)) => certificate.key == key.digest(),
            (Self::Cosign(key), Self::OpenPgp(signer)) | (Self::OpenPgp(signer), Self::Cosign(key)) => {
                signer.material() == Some(key.digest())
            }
        }
    }

    /// The names by which a list can name it.
    pub(super) fn names(&self) -> SignerNames {
        match self {
            Self::X509 { certificate, .. } => SignerNames::X509(SignerName {
                subject: certificate.subject.clone(),
                issuer: certificate.issuer.clone(),
            }),
            Self::OpenPgp(signer) => SignerNames::OpenPgp(signer.fingerprints()),
            Self::Cosign(_) => SignerNames::Cosign,
        }
    }

    /// When its certificate expires. `None` for an OpenPGP key, whose expiry depends on the credential.
    pub(super) fn certificate_end(&self) -> Option<Timestamp> {
        match self {
            Self::X509 { certificate, .. } => Some(certificate.not_after),
            Self::OpenPgp(_) | Self::Cosign(_) => None,
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X509 { subject, issuer: Some(issuer), .. } => write!(f, "{subject} (issuer {issuer})"),
            Self::X509 { subject, issuer: None, .. } => write!(f, "{subject}"),
            Self::OpenPgp(credential) => f.write_str(&credential.fingerprint.as_name()),
            Self::Cosign(key) => f.write_str(&key.as_name()),
        }
    }
}

impl CredentialKind {
    /// Whether it is a credential of this signer. Names are compared as lists of RDNs, not as strings. A fingerprint
    /// may be that of the key that signed or of its primary key.
    pub(super) fn names(&self, signer: &AuthenticatedSigner) -> bool {
        match (self, signer) {
            (Self::X509 { subject, issuer, purpose: _ }, AuthenticatedSigner::X509 { certificate, .. }) => {
                !certificate.subject.is_empty()
                    && *subject == certificate.subject
                    && issuer.as_ref().is_none_or(|issuer| *issuer == certificate.issuer)
            }
            (Self::OpenPgp(credential), AuthenticatedSigner::OpenPgp(signer)) => signer.is(&credential.fingerprint),
            (Self::Cosign(key), AuthenticatedSigner::Cosign(signer)) => key == signer,
            (Self::X509 { .. }, AuthenticatedSigner::OpenPgp(_) | AuthenticatedSigner::Cosign(_))
            | (Self::OpenPgp(_), AuthenticatedSigner::X509 { .. } | AuthenticatedSigner::Cosign(_))
            | (Self::Cosign(_), AuthenticatedSigner::X509 { .. } | AuthenticatedSigner::OpenPgp(_)) => false,
        }
    }
}
