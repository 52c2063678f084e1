//! `ImageListSubscription`: which list is followed, whose word counts, which of its images are wanted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{DeletionPolicy, ObjectReference, has_conditions};
use super::source::ListSource;

/// An image list that this site follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vmcatcher.io",
    version = "v1alpha1",
    kind = "ImageListSubscription",
    doc = "A signed image list that this site follows, whose signature is believed, and which of its images are wanted.",
    namespaced,
    status = "ImageListSubscriptionStatus",
    derive = "PartialEq",
    shortname = "ils",
    category = "vmcatcher",
    printcolumn(name = "List", type_ = "string", json_path = ".status.list.version"),
    printcolumn(name = "Created", type_ = "date", json_path = ".status.list.created"),
    printcolumn(name = "Selected", type_ = "integer", json_path = ".status.images.selected"),
    printcolumn(name = "Late", type_ = "integer", json_path = ".status.images.late"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Fetched", type_ = "date", json_path = ".status.lastSuccessfulFetchTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.source.url", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.list.expires", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ImageListSubscriptionSpec {
    /// Where the list is fetched.
    pub source: ListSource,
    /// Whose signature is believed.
    pub verify: Verify,
    /// How often the list is fetched: at least 1m. Default 6h.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub interval: String,
    /// How long one fetch of the list may take. Default 60s.
    #[serde(default = "default_timeout")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub timeout: String,
    /// True: no fetch and no new version. Expiry, revocation and exclude still act.
    #[serde(default)]
    pub suspend: bool,
    /// Which images of the list are wanted. Unset: none; the list is followed and shown.
    #[serde(default)]
    pub images: ImageSelection,
    /// The CloudTargets where its images are published, unless an image names its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub target_refs: Vec<ObjectReference>,
    /// How long replaced versions stay in the archive.
    #[serde(default)]
    pub retention: Retention,
    /// What becomes of its images when this object is deleted. Orphan (default): they stay. Retire: they are archived.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn default_interval() -> String {
    "6h".to_owned()
}

fn default_timeout() -> String {
    "60s".to_owned()
}

/// Whose signature is believed, and which list is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// The Endorsers whose signature is believed; any one of them suffices.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub endorser_refs: Vec<ObjectReference>,
    /// How many different ones of them must have signed, by different signatures. Default 1.
    #[serde(default = "default_endorsements")]
    #[schemars(range(min = 1, max = 16))]
    pub required_endorsements: u8,
    /// A Secret with tls.crt and tls.key: the certificate that lists are encrypted to, and its key. Unset: an encrypted
    /// list is refused. The signature inside is required all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption_secret_ref: Option<ObjectReference>,
    /// dc:identifier that the list must have. Unset: learned from the first list accepted. Cannot change once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+=-]*$"))]
    pub identifier: Option<String>,
    /// The list expires this long after it was created, if that is sooner than its own expiry (such as 2160h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub max_list_age: Option<String>,
    /// A message that is taken although its version goes back: its digest, as status.candidate.digest tells it. It
    /// never makes up for a signature, and is for this one message only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub accept_list: Option<String>,
}

fn default_endorsements() -> u8 {
    1
}

/// Which images of the list are wanted: (identifiers or match) and not exclude.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSelection {
    /// What is taken.
    #[serde(default)]
    pub include: Include,
    /// What is not, whatever include says. Wins over CachedImages made by hand too.
    #[serde(default)]
    pub exclude: Exclude,
}

/// What is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Include {
    /// Images by dc:identifier.
    #[serde(default)]
    #[schemars(length(max = 1000), inner(length(max = 128)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub identifiers: Vec<String>,
    /// Images by what the list says of them; those that appear later are taken as they match.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub r#match: Vec<ImageMatch>,
}

/// What is not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exclude {
    /// Images by dc:identifier.
    #[serde(default)]
    #[schemars(length(max = 1000), inner(length(max = 128)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub identifiers: Vec<String>,
    /// Images by what the list says of them.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub r#match: Vec<ImageMatch>,
    /// Content by sha512 (128 hexadecimal digits).
    #[serde(default)]
    #[schemars(length(max = 1000), inner(length(max = 128), regex(pattern = r"^[0-9A-Fa-f]{128}$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub sha512: Vec<String>,
}

/// Globs (`*`, `?`, `[a-z]`, `{a,b}`) that must all match; case does not matter; an unset field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageMatch {
    /// Name of this match, for messages.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// sl:os, such as Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub os: Option<String>,
    /// Version of the operating system (sl:osversion).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub os_version: Option<String>,
    /// sl:arch, such as x86_64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub arch: Option<String>,
    /// hv:hypervisor, such as kvm; of several (QEMU,KVM) one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub hypervisor: Option<String>,
    /// Title (dc:title).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub title: Option<String>,
}

/// How long replaced versions stay. One goes when it is beyond both; a pinned one never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How many archived versions of an image are kept at least.
    #[serde(default = "default_keep_versions")]
    #[schemars(range(min = 0, max = 10))]
    pub keep_versions: u32,
    /// How long an archived version is kept at least.
    #[serde(default = "default_keep_for")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"))]
    pub keep_for: String,
}

fn default_keep_versions() -> u32 {
    2
}

fn default_keep_for() -> String {
    "720h".to_owned()
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_versions: default_keep_versions(), keep_for: default_keep_for() }
    }
}

/// What was seen of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageListSubscriptionStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, SourceVerified, ImagesReady; FetchFailed only while true.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// When the list was last asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fetch_time: Option<Time>,
    /// When the server last answered with a list, or that it has not changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_fetch_time: Option<Time>,
    /// When the list is asked for next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fetch_time: Option<Time>,
    /// How many fetches failed since the last that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_failures: Option<u32>,
    /// The value of the requestedAt annotation that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The list in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListStatus>,
    /// The newest message, while it is not the one in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateStatus>,
    /// Counts of the list's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageCounts>,
    /// The first 20 images that were refused or are missing; `list show` tells them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub notes: Vec<ImageNote>,
}

/// The list in force.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerStatus {
    /// The Endorser that the signer is.
    #[schemars(length(max = 253))]
    pub endorser: String,
    /// Which of its credentials.
    #[schemars(length(max = 253))]
    pub credential: String,
    /// Subject of the certificate.
    #[schemars(length(max = 2048))]
    pub subject: String,
    /// Issuer of the certificate.
    #[schemars(length(max = 2048))]
    pub issuer: String,
    /// When the certificate ends.
    pub not_after: Time,
}

/// The newest message, when it was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateStatus {
    /// sha256 of the message: `sha256:` and 64 hexadecimal digits.
    #[schemars(length(max = 71))]
    pub digest: String,
    /// Why it was refused, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What was expected and what was found.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// hv:version, where the message was intact enough to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// dc:date:created, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
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
