//! Why a message is not believed.

use std::fmt;

use crate::api::Class;
use crate::text::is_printable;

/// Why a message, its signer or its list was refused: the reasons of `SourceVerified=False`, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// There is no signature at all.
    Unsigned,
    /// A signature is malformed, or its value does not fit its signer's key.
    SignatureInvalid,
    /// The text is another one than the one that was signed, or of a stored list than the one that was accepted.
    TextChanged,
    /// An encrypted message could not be opened with the site's key.
    DecryptionFailed,
    /// A digest that is too weak (SHA-1) or not known was used.
    DigestNotAllowed,
    /// A digest for which anyone can make two texts (MD5 and older) was used.
    DigestBroken,
    /// A key on the path that is too short to prove anything.
    KeyTooWeak,
    /// No path from the signer to a trust anchor.
    IssuerUnknown,
    /// The certificate is not made for signing lists (RFC 8550 section 4.4.4).
    PurposeMismatch,
    /// The signer is an RFC 3820 proxy.
    ProxyCertificate,
    /// A certificate on the path is past its end.
    CertificateExpired,
    /// A certificate on the path has not begun yet.
    CertificateNotYetValid,
    /// A certificate on the path is on its issuer's CRL.
    CertificateRevoked,
    /// A CA on the path has no CRL here.
    CRLMissing,
    /// A CA's CRL is past its next update.
    CRLExpired,
    /// A CA's CRL is of the future.
    CRLNotYetValid,
    /// A CA's CRL cannot be read, is not signed by the CA, or does not speak of this certificate.
    CRLInvalid,
    /// The CA signed outside the namespace that its policy file gives it.
    NamespaceViolation,
    /// The signer is nobody whom the subscription trusts.
    EndorserNotTrusted,
    /// The signer's endorser, or the credential, is on Hold.
    EndorserOnHold,
    /// Fewer endorsers signed than are required.
    EndorsementsMissing,
    /// The payload is no image list.
    ListMalformed,
    /// `hv:endorser` does not name the signer.
    EndorserMismatch,
    /// Another `dc:identifier` than the one the subscription is pinned to.
    IdentifierMismatch,
    /// `dc:date:created` lies in the future.
    CreatedInFuture,
    /// `dc:date:expires` has passed.
    ListExpired,
    /// The list is older than `maxListAge`.
    ListStale,
    /// `hv:version` is lower than that of the list in force.
    VersionRollback,
    /// An older message of the same list, sent again.
    Replay,
}

impl RefusalReason {
    /// Every reason, in the order in which they are declared.
    pub const ALL: [Self; 29] = [
        Self::Unsigned,
        Self::SignatureInvalid,
        Self::TextChanged,
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
            Self::TextChanged => "TextChanged",
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

/// A refusal: one reason, and what was expected and found, where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// The reason, one word.
    pub reason: RefusalReason,
    /// What was expected and what was found, for people; at most a few hundred characters.
    pub message: String,
    /// The certificate that it is about, as a one-line name.
    pub subject: Option<String>,
    /// How far that certificate stands from the signer on the path: 0 is the signer itself.
    pub depth: Option<u32>,
    /// Whether somebody said so (a CA revoked, a person revoked), as against something that is missing or old.
    pub(super) statement: bool,
}

impl Refusal {
    /// A refusal that is about no certificate.
    pub(super) fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self { reason, message: bounded(message.into()), subject: None, depth: None, statement: false }
    }

    /// The same, about the certificate of this name at this depth.
    pub(super) fn about(mut self, subject: impl Into<String>, depth: u32) -> Self {
        self.subject = Some(bounded(subject.into()));
        self.depth = Some(depth);
        self
    }

    /// The same, as a statement: it takes images out, where an absence only freezes.
    pub(super) fn stated(mut self) -> Self {
        self.statement = true;
        self
    }

    /// Whether somebody said so: a certificate was revoked, or a person revoked an endorser or a credential.
    ///
    /// A statement withdraws a list that is in force; everything else only freezes it.
    pub fn is_statement(&self) -> bool {
        self.statement
    }

    /// The class for the driver: a refused message waits for a better one or for a person.
    pub const fn class(&self) -> Class {
        Class::Waiting
    }

    /// The condition reason.
    pub const fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}

/// Names and texts come out of messages: bounded and printable.
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
