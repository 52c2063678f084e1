//! The status of an `ImageListSubscription`: the list in force, the newest message, counts and notes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::common::has_conditions;

/// What was seen of a subscription.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageListSubscriptionStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// Ready, SourceVerified, ImagesReady; FetchFailed only while true.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// When the list was last asked for.
    pub last_fetch_time: Option<Time>,
    /// When the server last answered with a list, or that it has not changed.
    pub last_successful_fetch_time: Option<Time>,
    /// When the list is asked for next.
    pub next_fetch_time: Option<Time>,
    /// How many fetches failed since the last that did not.
    pub fetch_failures: Option<u32>,
    /// The value of the requestedAt annotation that was last acted on.
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The list in force.
    pub list: Option<ListStatus>,
    /// The newest message, while it is not the one in force.
    pub candidate: Option<CandidateStatus>,
    /// Counts of the list's images.
    pub images: Option<ImageCounts>,
    /// The first 20 images that were refused or are missing; `list show` tells them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub notes: Vec<ImageNote>,
}

/// The list in force.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListStatus {
    /// dc:identifier of the list.
    #[schemars(length(max = 128))]
    pub identifier: String,
    /// Version of the list (hv:version).
    #[schemars(length(max = 128))]
    pub version: String,
    /// sha256 of the signed message: `sha256:` and 64 hexadecimal digits.
    #[schemars(length(max = 71))]
    pub digest: String,
    /// dc:date:created.
    pub created: Time,
    /// When it expires: dc:date:expires, or created plus maxListAge if that is sooner.
    pub expires: Time,
    /// When this operator accepted it.
    pub accepted_time: Time,
    /// ad:vo, where the list is one's.
    #[schemars(length(max = 256))]
    pub vo: Option<String>,
    /// Title of the list (dc:title).
    #[schemars(length(max = 256))]
    pub title: String,
    /// Who signed it.
    #[schemars(length(max = 16))]
    pub signers: Vec<SignerStatus>,
}

/// One signer of a list.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerStatus {
    /// The Endorser that the signer is.
    #[schemars(length(max = 253))]
    pub endorser: String,
    /// Which of its credentials.
    #[schemars(length(max = 253))]
    pub credential: String,
    /// Subject of the certificate, or the OpenPGP key as openpgp4fpr: and its fingerprint.
    #[schemars(length(max = 2048))]
    pub subject: String,
    /// Issuer of the certificate; empty for an OpenPGP key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub issuer: String,
    /// When the certificate or the key ends; an OpenPGP key may have no end.
    pub not_after: Option<Time>,
}

/// The newest message, when it was refused or waits for a person.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateStatus {
    /// sha256 of the message: `sha256:` and 64 hexadecimal digits.
    #[schemars(length(max = 71))]
    pub digest: String,
    /// Why it is not in force, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What was expected and what was found.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// hv:version, where the message was intact enough to tell.
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// dc:date:created, likewise.
    pub created: Option<Time>,
    /// How many images it has that the list in force has not, where it waits for acceptList.
    pub adds: Option<u32>,
    /// How many cached images it would drop, likewise.
    pub removes: Option<u32>,
}

/// Counts of a list's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageCounts {
    /// In the list in force, refused ones included.
    pub listed: u32,
    /// Wanted by this subscription.
    pub selected: u32,
    /// Of those: cached and current.
    pub ready: u32,
    /// Of those: wanted for more than 24 hours and not yet there.
    pub late: u32,
    /// Of those: in trouble.
    pub failed: u32,
    /// Kept by `keepUntil` though the list no longer endorses them.
    pub kept: u32,
    /// Refused alone; `notes` says why.
    pub refused: u32,
    /// Asked for by identifier and not in the list.
    pub missing: u32,
}

impl ImageCounts {
    /// All counts by the names of their fields.
    pub fn by_state(&self) -> [(&'static str, u32); 8] {
        let Self { listed, selected, ready, late, failed, kept, refused, missing } = *self;
        [
            ("listed", listed),
            ("selected", selected),
            ("ready", ready),
            ("late", late),
            ("failed", failed),
            ("kept", kept),
            ("refused", refused),
            ("missing", missing),
        ]
    }
}

/// Something to know about one image of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageNote {
    /// The image.
    #[schemars(length(max = 128))]
    pub identifier: String,
    /// `ImageMalformed`, `IdentifierConflict`, `IdentifierDuplicate`, `IdentifierUnsafe` or `NotInList`.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What was expected and what was found.
    #[schemars(length(max = 256))]
    pub message: String,
}

has_conditions!(ImageListSubscriptionStatus);
