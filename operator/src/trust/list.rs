//! The types that carry the proof: a verified list, an accepted list, and what is remembered of it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Check, Refusal, Sha256Digest};
use crate::imagelist::{ImageId, ImageList, ListVersion};

/// Who signed, as it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// The `Endorser` that it was counted for; `None` where nobody asked.
    pub endorser: Option<String>,
    /// The credential of that endorser.
    pub credential: Option<String>,
    /// The certificate's subject as a one-line name, or the fingerprint of the primary OpenPGP key as `openpgp4fpr:…`.
    pub subject: String,
    /// The certificate's issuer, as a one-line name; empty for an OpenPGP key.
    pub issuer: String,
    /// When the certificate or the key ends; `None` for a key without an end.
    pub not_after: Option<Timestamp>,
}

/// A signer of an accepted list whose certificate, or one above it, its CA revoked since. Remembered, for a CA may drop
/// a certificate from its CRL once it has expired (RFC 5280 section 3.3), and what was withdrawn must not stand again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedSigner {
    /// The signer's certificate: SHA-256 of its DER; of an OpenPGP key, of its name by fingerprint.
    pub certificate: Sha256Digest,
    /// The revoked certificate, as a one-line name: the signer's own, or that of a CA above it.
    pub subject: String,
    /// How far that certificate stands from the signer: 0 is the signer itself.
    pub depth: u32,
    /// What the CRL said.
    pub message: String,
    /// When it was seen first.
    pub seen: Timestamp,
}

/// A list whose message was verified: signed by whom it must be, and an image list. Made only by [`super::verify`].
#[derive(Debug, Clone)]
pub struct VerifiedList {
    pub(super) list: ImageList,
    pub(super) signers: Vec<Signer>,
    /// The same signers by name, for `hv:endorser`.
    pub(super) names: Vec<super::signer::SignerNames>,
    /// The same signers by their certificates, or their keys.
    pub(super) certificates: Vec<Sha256Digest>,
    pub(super) required: usize,
    pub(super) message: Sha256Digest,
    pub(super) payload: Sha256Digest,
}

/// A list that may replace the last one, or that still stands. Only such a list can enter a plan.
#[derive(Debug, Clone)]
pub struct AcceptedList {
    pub(super) verified: VerifiedList,
    pub(super) accepted: Timestamp,
    pub(super) revoked: Vec<RevokedSigner>,
}

/// What is remembered of the list in force; rollback and replay are judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastAccepted {
    /// `dc:identifier` of the list.
    pub identifier: ImageId,
    /// `hv:version`.
    pub version: ListVersion,
    /// `dc:date:created`.
    pub created: Timestamp,
    /// SHA-256 of the payload; see [`VerifiedList::payload_digest`].
    pub payload: Sha256Digest,
    /// When it was accepted. The signer's certificate dates are judged at this time.
    pub accepted: Timestamp,
    /// Who signed it, each counted once: whether a later revocation is of one of these decides what becomes of it.
    #[serde(default)]
    pub signers: Vec<Signer>,
    /// Their certificates: SHA-256 of the DER of each; of OpenPGP keys, of their names by fingerprint. Empty in what was remembered before they were.
    #[serde(default)]
    pub certificates: Vec<Sha256Digest>,
    /// Those of them who were revoked since. They never count again for this list, whatever a later CRL says.
    #[serde(default)]
    pub revoked: Vec<RevokedSigner>,
}

/// What `accept` is asked.
#[derive(Debug, Clone, Copy)]
pub struct AcceptRequest<'a> {
    /// `verify.identifier`: the `dc:identifier` that the list must have. Learned from `last` where unset.
    pub identifier: Option<&'a ImageId>,
    /// The list in force.
    pub last: Option<&'a LastAccepted>,
    /// `verify.maxListAge`.
    pub max_list_age: Option<SignedDuration>,
    /// `verify.acceptList`: the message that a person takes although it rolls back.
    pub accept_list: Option<Sha256Digest>,
    /// The time of the check.
    pub now: Timestamp,
}

/// What `verify` says: every check in its order, and the list or the first refusal.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The checks that were made, in order; none after the refusal.
    pub checks: Vec<Check>,
    /// The list, or why not.
    pub outcome: Result<VerifiedList, Refusal>,
}

/// What `accept` says: every check in its order, and the list or the first refusal.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// The checks that were made, in order; none after the refusal.
    pub checks: Vec<Check>,
    /// The list, or why not.
    pub outcome: Result<AcceptedList, Refusal>,
}

/// How a list that was accepted earlier stands now.
#[derive(Debug, Clone)]
pub enum Standing {
    /// It verifies as on its first day.
    InForce(AcceptedList),
    /// Something that verification needs is missing or old: nothing new is accepted, nothing is taken away.
    Frozen(AcceptedList, Refusal),
    /// A signer was revoked, by its CA or by a person: its images go out.
    Withdrawn(AcceptedList, Refusal),
    /// These bytes are not what was accepted: the message has to be fetched again.
    Broken(Refusal),
}

impl VerifiedList {
    /// What the list says.
    pub fn list(&self) -> &ImageList {
        &self.list
    }

    /// Who signed it, in the order of the signatures, each counted once.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// SHA-256 of the whole message, as it was fetched: what `acceptList` names.
    pub fn message_digest(&self) -> Sha256Digest {
        self.message
    }

    /// SHA-256 of the list's JSON text as it was signed, without white space around it and with LF line ends: the
    /// same list signed again in another S/MIME form is the same payload.
    pub fn payload_digest(&self) -> Sha256Digest {
        self.payload
    }
}

impl AcceptedList {
    /// What the list says.
    pub fn list(&self) -> &ImageList {
        &self.verified.list
    }

    /// Who signed it, in the order of the signatures, each counted once.
    pub fn signers(&self) -> &[Signer] {
        &self.verified.signers
    }

    /// SHA-256 of the whole message, as it was fetched: what `acceptList` names.
    pub fn message_digest(&self) -> Sha256Digest {
        self.verified.message
    }

    /// SHA-256 of the payload; see [`VerifiedList::payload_digest`].
    pub fn payload_digest(&self) -> Sha256Digest {
        self.verified.payload
    }

    /// When it was accepted.
    pub fn accepted_time(&self) -> Timestamp {
        self.accepted
    }

    /// What has to be remembered, so that the next message can be judged and this one verified again.
    pub fn last_accepted(&self) -> LastAccepted {
        LastAccepted {
            identifier: self.list().identifier.clone(),
            version: self.list().version.clone(),
            created: self.list().created,
            payload: self.verified.payload,
            accepted: self.accepted,
            signers: self.verified.signers.clone(),
            certificates: self.verified.certificates.clone(),
            revoked: self.revoked.clone(),
        }
    }

    /// The signers that their CAs revoked since the list was accepted: those remembered, then those seen now.
    pub fn revoked(&self) -> &[RevokedSigner] {
        &self.revoked
    }
}
