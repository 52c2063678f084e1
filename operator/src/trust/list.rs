//! The result types of verification: a verified list, an accepted list, and the record of the last accepted list.

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Check, Refusal, Sha256Digest};
use crate::imagelist::oci::{OciRule, Tag};
use crate::imagelist::{ContentDigest, ImageId, ImageList, LearnedContent, ListVersion};

/// A verified signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// The `Endorser` that it was counted for; `None` if no endorser is required.
    pub endorser: Option<String>,
    /// The credential of that endorser.
    pub credential: Option<String>,
    /// The certificate's subject as a one-line name, or the fingerprint of the primary OpenPGP key as `openpgp4fpr:…`.
    pub subject: String,
    /// The certificate's issuer, as a one-line name; empty for an OpenPGP key.
    pub issuer: String,
    /// When the certificate or the key expires; `None` for a key without an expiry.
    pub not_after: Option<Timestamp>,
}

/// A signer of an accepted list whose certificate, or that of a CA above it, has been revoked since. It is remembered
/// because a CA may remove a certificate from its CRL once it has expired (RFC 5280 section 3.3), and a withdrawn list
/// must not become valid again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedSigner {
    /// SHA-256 of the DER of the signer's certificate. For an OpenPGP key, SHA-256 of its fingerprint name.
    pub certificate: Sha256Digest,
    /// The revoked certificate, as a one-line name: the signer's own, or that of a CA above it.
    pub subject: String,
    /// The depth of that certificate in the path; 0 is the signer's own.
    pub depth: u32,
    /// The message about the CRL entry.
    pub message: String,
    /// When the revocation was first seen.
    pub seen: Timestamp,
}

/// An image list whose message was verified and has enough trusted signatures. Made only by [`super::verify`].
#[derive(Debug, Clone)]
pub struct VerifiedList {
    pub(super) list: ImageList,
    pub(super) signers: Vec<Signer>,
    /// The same signers by name, for `hv:endorser`.
    pub(super) names: Vec<super::signer::SignerNames>,
    /// The same signers, as digests of their certificates or keys.
    pub(super) certificates: Vec<Sha256Digest>,
    pub(super) required: usize,
    pub(super) message: Sha256Digest,
    pub(super) payload: Sha256Digest,
    /// What must not go back when another list is accepted.
    pub(super) succession: Succession,
    /// The tags of a repository whose images are signed one by one; empty for a list that is signed as a whole.
    pub(super) tags: Vec<AcceptedTag>,
}

/// What must not go back when another list is accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Succession {
    /// The list as a whole, by its version.
    Whole,
    /// Each tag, by the time at which its artefact was made.
    Tags(OciRule),
    /// Nothing: the subscription names the digest of the one artefact.
    Pinned,
}

/// What is remembered of an accepted artefact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedTag {
    /// The identifier of its image.
    pub identifier: ImageId,
    /// The tag; `None` for an artefact that the subscription names by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The digest that the tag named.
    pub digest: Sha256Digest,
    /// When the artefact was made.
    pub created: Timestamp,
    /// SHA-256 of the DER of the keys whose signatures counted.
    pub keys: Vec<Sha256Digest>,
    /// What became of it.
    pub state: TagState,
}

/// What became of an accepted artefact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagState {
    /// Its image is in the list.
    Listed,
    /// Its tag is gone, or names something that is not accepted. What was accepted before stays, if the tag is there.
    Kept,
    /// Its signers were revoked.
    Withdrawn,
}

/// A list that may replace the last one, or that is still valid. Only such a list can be used in a plan.
#[derive(Debug, Clone)]
pub struct AcceptedList {
    pub(super) verified: VerifiedList,
    pub(super) accepted: Timestamp,
    pub(super) revoked: Vec<RevokedSigner>,
}

/// The record of the list in force. Rollback and replay are checked against it.
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
    /// When it was accepted. The dates of the signers' certificates are checked at this time.
    pub accepted: Timestamp,
    /// Its signers, each counted once. A later revocation of one of them may withdraw the list.
    #[serde(default)]
    pub signers: Vec<Signer>,
    /// SHA-256 of the DER of each signer's certificate. For an OpenPGP key, SHA-256 of its fingerprint name. Empty in
    /// records that were written before this field existed.
    #[serde(default)]
    pub certificates: Vec<Sha256Digest>,
    /// The signers that have been revoked since. They never count again for this list, whatever a later CRL contains.
    #[serde(default)]
    pub revoked: Vec<RevokedSigner>,
    /// The artefacts that were accepted from a repository; empty for other sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<AcceptedTag>,
}

/// The input of `accept`.
#[derive(Debug, Clone, Copy)]
pub struct AcceptRequest<'a> {
    /// `verify.identifier`: the `dc:identifier` that the list must have. If it is `None`, the identifier of `last` is
    /// used.
    pub identifier: Option<&'a ImageId>,
    /// The list in force.
    pub last: Option<&'a LastAccepted>,
    /// `verify.maxListAge`.
    pub max_list_age: Option<SignedDuration>,
    /// `verify.acceptList`: the digest of a message that is accepted although its version is older.
    pub accept_list: Option<Sha256Digest>,
    /// The time of the check.
    pub now: Timestamp,
}

/// The result of `verify`: the checks in order, and the list or the first refusal.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The checks that were made, in order; none after the refusal.
    pub checks: Vec<Check>,
    /// The list, or the refusal.
    pub outcome: Result<VerifiedList, Refusal>,
}

/// The result of `accept`: the checks in order, and the list or the first refusal.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// The checks that were made, in order; none after the refusal.
    pub checks: Vec<Check>,
    /// The list, or the refusal.
    pub outcome: Result<AcceptedList, Refusal>,
}

/// The result of verifying an accepted list again.
#[derive(Debug, Clone)]
pub enum Reverification {
    /// It still verifies.
    InForce(AcceptedList),
    /// Verification failed, but no signer was revoked (for example, a CRL is missing or too old). No new list is
    /// accepted, and nothing is removed.
    Frozen(AcceptedList, Refusal),
    /// A signer was revoked, by its CA or by an administrator. The images of the list are withdrawn.
    Withdrawn(AcceptedList, Refusal),
    /// The stored bytes are not the accepted message. It has to be fetched again.
    Broken(Refusal),
}

impl VerifiedList {
    /// A list that nobody signed, for unit tests.
    #[cfg(test)]
    pub(crate) fn for_tests(list: ImageList) -> Self {
        let digest = Sha256Digest::of(list.version.as_str().as_bytes());
        let (signers, names, certificates) = (Vec::new(), Vec::new(), Vec::new());
        let (succession, tags) = (Succession::Whole, Vec::new());
        Self { list, signers, names, certificates, required: 1, message: digest, payload: digest, succession, tags }
    }

    /// The parsed list.
    pub fn list(&self) -> &ImageList {
        &self.list
    }

    /// Adds what was `learned` about bytes that the list identifies by SHA-256: of one image, or of all. Nothing that the
    /// list states changes.
    pub fn learn(&mut self, only: Option<&ImageId>, learned: impl Fn(&Sha256Digest) -> Option<LearnedContent>) {
        for image in self.list.images.iter_mut().filter(|image| only.is_none_or(|only| image.identifier == *only)) {
            if let (ContentDigest::Sha256(digest), None) = (&image.digest, image.learned) {
                image.learned = learned(digest);
            }
        }
    }

    /// The signers, in the order of the signatures, each counted once.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// SHA-256 of the whole message as it was fetched. `acceptList` names a message by this digest.
    pub fn message_digest(&self) -> Sha256Digest {
        self.message
    }

    /// SHA-256 of the list's signed JSON text, without surrounding white space and with LF line ends. If the same list
    /// is signed again in another S/MIME form, its payload digest is the same.
    pub fn payload_digest(&self) -> Sha256Digest {
        self.payload
    }
}

impl Deref for AcceptedList {
    type Target = VerifiedList;

    fn deref(&self) -> &VerifiedList {
        &self.verified
    }
}

impl AcceptedList {
    /// A list that nobody signed, for unit tests.
    #[cfg(test)]
    pub(crate) fn for_tests(list: ImageList, accepted: Timestamp) -> Self {
        Self { verified: VerifiedList::for_tests(list), accepted, revoked: Vec::new() }
    }

    /// See [`VerifiedList::learn`].
    pub fn learn(&mut self, only: Option<&ImageId>, learned: impl Fn(&Sha256Digest) -> Option<LearnedContent>) {
        self.verified.learn(only, learned);
    }

    /// When it was accepted.
    pub fn accepted_time(&self) -> Timestamp {
        self.accepted
    }

    /// The record that is needed to check the next message and to verify this one again.
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
            tags: self.verified.tags.clone(),
        }
    }

    /// What is remembered of the artefacts of a repository.
    pub fn tags(&self) -> &[AcceptedTag] {
        &self.verified.tags
    }

    /// The signers that their CAs revoked since the list was accepted: first those recorded earlier, then those found
    /// now.
    pub fn revoked(&self) -> &[RevokedSigner] {
        &self.revoked
    }
}
