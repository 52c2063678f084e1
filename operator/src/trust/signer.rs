//! The signer of a message: the holder of a certificate's key, or of an OpenPGP key.

use std::fmt;

use jiff::Timestamp;

use super::certificate::Certificate;
use super::{CredentialKind, Fingerprint, OpenPgpCredential, Sha256Digest, SignerName, openpgp};

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
}

/// The names by which a list can name a signer.
#[derive(Debug, Clone)]
pub(super) enum SignerNames {
    /// Subject and issuer.
    X509(SignerName),
    /// The fingerprints of the key that signed and of its primary key.
    OpenPgp(Vec<Fingerprint>),
}

impl AuthenticatedSigner {
    /// The certificate's subject, or the key's fingerprint as a name.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::X509 { certificate, .. } => certificate.shown(),
            Self::OpenPgp(signer) => signer.shown(),
        }
    }

    /// The same, with the certificate's issuer, for messages.
    pub(super) fn described(&self) -> String {
        match self {
            Self::X509 { certificate, .. } => format!("{} (issuer {})", certificate.shown(), certificate.issuer),
            Self::OpenPgp(signer) => signer.shown(),
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
            (Self::OpenPgp(signer), Some(CredentialKind::OpenPgp(_) | CredentialKind::X509 { .. }) | None) => {
                (signer.shown(), String::new())
            }
        }
    }

    /// Whether the signature was verified. An OpenPGP signature whose key is not available is not.
    pub(super) fn is_proven(&self) -> bool {
        match self {
            Self::X509 { .. } => true,
            Self::OpenPgp(signer) => signer.is_proven(),
        }
    }

    /// When an OpenPGP signature says that it was made, whether it was verified or not.
    pub(super) fn dated(&self) -> Option<Timestamp> {
        match self {
            Self::X509 { .. } => None,
            Self::OpenPgp(signer) => Some(signer.dated()),
        }
    }

    /// When an OpenPGP signature was made, if it was verified.
    pub(super) fn made(&self) -> Option<Timestamp> {
        match self {
            Self::X509 { .. } => None,
            Self::OpenPgp(signer) => signer.made(),
        }
    }

    /// A digest that identifies the signer: SHA-256 of the DER of the certificate. For an OpenPGP key, SHA-256 of its
    /// fingerprint name, which is known from the signature even without the key.
    pub(super) fn digest(&self) -> Sha256Digest {
        match self {
            Self::X509 { certificate, .. } => certificate.digest,
            Self::OpenPgp(signer) => Sha256Digest::of(signer.shown().as_bytes()),
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
        }
    }

    /// When its certificate expires. `None` for an OpenPGP key, whose expiry depends on the credential.
    pub(super) fn certificate_end(&self) -> Option<Timestamp> {
        match self {
            Self::X509 { certificate, .. } => Some(certificate.not_after),
            Self::OpenPgp(_) => None,
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X509 { subject, issuer: Some(issuer), .. } => write!(f, "{subject} (issuer {issuer})"),
            Self::X509 { subject, issuer: None, .. } => write!(f, "{subject}"),
            Self::OpenPgp(credential) => f.write_str(&credential.fingerprint.as_name()),
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
            (Self::X509 { .. }, AuthenticatedSigner::OpenPgp(_))
            | (Self::OpenPgp(_), AuthenticatedSigner::X509 { .. }) => false,
        }
    }
}
