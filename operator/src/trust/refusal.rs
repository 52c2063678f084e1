//! The reasons why a message is refused.

use std::fmt;

use crate::api::Class;
use crate::text::is_printable;

/// The reason why a message, its signer or its list was refused. These are exactly the reasons of
/// `SourceVerified=False`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// There is no signature.
    Unsigned,
    /// A signature is malformed, or it is not valid for its signer's key.
    SignatureInvalid,
    /// A signature is for an artefact of another repository.
    RepositoryMismatch,
    /// The text differs from the text that was signed; or a stored list differs from the list that was accepted.
    MessageDigestMismatch,
    /// An encrypted message could not be opened with the site's key.
    DecryptionFailed,
    /// A digest that is too weak (SHA-1) or not known was used.
    DigestNotAllowed,
    /// A digest with practical collisions (MD5 and older) was used.
    DigestBroken,
    /// A key on the path is too weak.
    KeyTooWeak,
    /// There is no path from the signer to a trust anchor.
    IssuerUnknown,
    /// The certificate may not be used to sign lists (RFC 8550 section 4.4.4).
    PurposeMismatch,
    /// The signer is an RFC 3820 proxy.
    ProxyCertificate,
    /// A certificate on the path has expired.
    CertificateExpired,
    /// A certificate on the path is not valid yet.
    CertificateNotYetValid,
    /// A certificate on the path is on its issuer's CRL.
    CertificateRevoked,
    /// There is no CRL of a CA on the path.
    CRLMissing,
    /// The `nextUpdate` of a CA's CRL has passed.
    CRLExpired,
    /// The `thisUpdate` of a CA's CRL is in the future.
    CRLNotYetValid,
    /// A CA's CRL cannot be read, is not signed by the CA, or does not cover the certificate.
    CRLInvalid,
    /// The CA signed outside the namespace of its policy file.
    NamespaceViolation,
    /// The subscription does not trust the signer.
    EndorserNotTrusted,
    /// The signer's endorser, or the credential, is on Hold.
    EndorserOnHold,
    /// Fewer endorsers signed than are required.
    EndorsementsMissing,
    /// The payload is not an image list.
    ListMalformed,
    /// `hv:endorser` does not name the signer.
    EndorserMismatch,
    /// `dc:identifier` is not the one that the subscription is pinned to.
    IdentifierMismatch,
    /// `dc:date:created` is in the future.
    CreatedInFuture,
    /// `dc:date:expires` has passed.
    ListExpired,
    /// The list is older than `maxListAge`.
    ListStale,
    /// `hv:version` is lower than that of the list in force.
    VersionRollback,
    /// The message is an older message of the same list, sent again.
    Replay,
}

impl RefusalReason {
    /// Every reason, in the order in which they are declared.
    pub const ALL: [Self; 30] = [
        Self::Unsigned,
        Self::SignatureInvalid,
        Self::RepositoryMismatch,
        Self::MessageDigestMismatch,
        Self::DecryptionFailed,
        Self::DigestNotAllowed,
        Self::DigestBroken,
        Self::KeyTooWeak,
        Self::IssuerUnknown,
        Self::PurposeMismatch,
        Self::ProxyCertificate,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateRevoked,
        Self::CRLMissing,
        Self::CRLExpired,
        Self::CRLNotYetValid,
        Self::CRLInvalid,
        Self::NamespaceViolation,
        Self::EndorserNotTrusted,
        Self::EndorserOnHold,
        Self::EndorsementsMissing,
        Self::ListMalformed,
        Self::EndorserMismatch,
        Self::IdentifierMismatch,
        Self::CreatedInFuture,
        Self::ListExpired,
        Self::ListStale,
        Self::VersionRollback,
        Self::Replay,
    ];

    /// The condition reason, event reason and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "Unsigned",
            Self::SignatureInvalid => "SignatureInvalid",
            Self::RepositoryMismatch => "RepositoryMismatch",
            Self::MessageDigestMismatch => "MessageDigestMismatch",
            Self::DecryptionFailed => "DecryptionFailed",
            Self::DigestNotAllowed => "DigestNotAllowed",
            Self::DigestBroken => "DigestBroken",
            Self::KeyTooWeak => "KeyTooWeak",
            Self::IssuerUnknown => "IssuerUnknown",
            Self::PurposeMismatch => "PurposeMismatch",
            Self::ProxyCertificate => "ProxyCertificate",
            Self::CertificateExpired => "CertificateExpired",
            Self::CertificateNotYetValid => "CertificateNotYetValid",
            Self::CertificateRevoked => "CertificateRevoked",
            Self::CRLMissing => "CRLMissing",
            Self::CRLExpired => "CRLExpired",
            Self::CRLNotYetValid => "CRLNotYetValid",
            Self::CRLInvalid => "CRLInvalid",
            Self::NamespaceViolation => "NamespaceViolation",
            Self::EndorserNotTrusted => "EndorserNotTrusted",
            Self::EndorserOnHold => "EndorserOnHold",
            Self::EndorsementsMissing => "EndorsementsMissing",
            Self::ListMalformed => "ListMalformed",
            Self::EndorserMismatch => "EndorserMismatch",
            Self::IdentifierMismatch => "IdentifierMismatch",
            Self::CreatedInFuture => "CreatedInFuture",
            Self::ListExpired => "ListExpired",
            Self::ListStale => "ListStale",
            Self::VersionRollback => "VersionRollback",
            Self::Replay => "Replay",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A refusal: one reason, what was expected and found, and for which certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// The reason.
    pub reason: RefusalReason,
    /// What was expected and what was found; at most a few hundred characters.
    pub message: String,
    /// The subject of the certificate that it is about, as a one-line name.
    pub subject: Option<String>,
    /// The depth of that certificate in the path; 0 is the signer's own.
    pub depth: Option<u32>,
    /// Whether it is an explicit revocation by a CA or an administrator, not something missing or expired.
    pub(super) statement: bool,
}

impl Refusal {
    /// A refusal for unit tests; a statement by a CA or an administrator where it says so.
    #[cfg(test)]
    pub(crate) fn for_tests(reason: RefusalReason, statement: bool) -> Self {
        Self { statement, ..Self::new(reason, "for a test") }
    }

    /// A refusal that is not about a certificate.
    pub(super) fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self { reason, message: bounded(message.into()), subject: None, depth: None, statement: false }
    }

    /// Adds the name and the depth of the certificate that it is about.
    pub(super) fn about(mut self, subject: impl Into<String>, depth: u32) -> Self {
        self.subject = Some(bounded(subject.into()));
        self.depth = Some(depth);
        self
    }

    /// Marks it as an explicit revocation. Such a refusal withdraws images; any other only freezes them.
    pub(super) fn stated(mut self) -> Self {
        self.statement = true;
        self
    }

    /// Whether it is an explicit revocation: a CA revoked a certificate, or an administrator revoked an endorser or a
    /// credential.
    ///
    /// An explicit revocation withdraws a list that is in force. Any other refusal only freezes it.
    pub fn is_statement(&self) -> bool {
        self.statement
    }

    /// The class for the driver. A refused message waits for a better message or for a change by an administrator.
    pub const fn class(&self) -> Class {
        Class::Waiting
    }

    /// The condition reason.
    pub const fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}

/// Limits the length of a text from a message, and replaces characters that are not printable.
pub(super) fn bounded(text: String) -> String {
    const MOST: usize = 600;
    if text.len() <= MOST && text.chars().all(is_printable) {
        return text;
    }
    let mut shown: String = text.chars().take(MOST).map(|c| if is_printable(c) { c } else { '\u{fffd}' }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
