//! `CachedImage`: one image that this site wants.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::common::{DeletionPolicy, ObjectReference, has_conditions};
use super::subscription::Retention;

/// An image's object has the name of its identifier (`ImageId::object_name`). CEL knows no SHA-256: the operator checks
/// the rest.
const NAME_RULE: &str = "self.spec.identifier.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') \
                         ? self.metadata.name == self.spec.identifier : self.metadata.name.startsWith('sha256-')";

/// One image that this site wants, from the list of one subscription.
///
/// A subscription's selection makes it and owns `subscriptionRef` and `identifier`; all other fields are people's.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vmcatcher.io",
    version = "v1alpha1",
    kind = "CachedImage",
    doc = "One image that this site wants, from the list of one subscription.",
    namespaced,
    status = "CachedImageStatus",
    derive = "PartialEq",
    shortname = "cimg",
    validation = Rule::new(NAME_RULE).message(
        "expected the object's name to be spec.identifier; or, where that is no object name, sha256- and the first 40 \
         hexadecimal digits of its SHA-256"
    ),
    category = "vmcatcher",
    printcolumn(name = "Title", type_ = "string", json_path = ".status.image.title"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.image.version"),
    printcolumn(
        name = "Published",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Published")].status"#
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress.percent"),
    printcolumn(name = "Size", type_ = "integer", json_path = ".status.image.size"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "SHA512", type_ = "string", json_path = ".status.artifact.sha512", priority = 1),
    printcolumn(name = "Format", type_ = "string", json_path = ".status.artifact.format", priority = 1),
    printcolumn(name = "Subscription", type_ = "string", json_path = ".spec.subscriptionRef.name", priority = 1),
    printcolumn(name = "Pin", type_ = "string", json_path = ".spec.version", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.identifier == oldSelf.identifier", "message": "identifier cannot change"},
    {"rule": "self.subscriptionRef.name == oldSelf.subscriptionRef.name", "message": "subscriptionRef cannot change"},
]))]
pub struct CachedImageSpec {
    /// The subscription whose list endorses the image. Cannot change.
    pub subscription_ref: ObjectReference,
    /// dc:identifier of the image. Cannot change.
    #[schemars(length(max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+=-]*$"))]
    pub identifier: String,
    /// Pins one hv:version. It is looked for in the accepted lists, newest first; its bytes in the cache, in the
    /// archive, then at the addresses that those lists have for it.
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Pins the content by sha512 (128 hexadecimal digits); with version, both hold.
    #[schemars(length(max = 128), regex(pattern = r"^[0-9A-Fa-f]{128}$"))]
    pub sha512: Option<String>,
    /// Keeps what is there until then though the list expired or dropped it; never when revoked or excluded.
    pub keep_until: Option<Time>,
    /// The CloudTargets where it is published. Unset: the subscription's; empty: cache only. Taking one away takes the
    /// image out of circulation there.
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub target_refs: Option<Vec<ObjectReference>>,
    /// True: no download and no new version. Expiry, revocation and exclude still act.
    #[serde(default)]
    pub suspend: bool,
    /// How long its replaced versions stay in the archive. Unset: as the subscription says. Set: instead of that, as a
    /// whole; a field that is left out has its default.
    pub retention: Option<Retention>,
    /// What becomes of the image when this object is deleted. Unset: as the subscription says.
    pub deletion_policy: Option<DeletionPolicy>,
}

/// What was seen of an image.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CachedImageStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// Ready, Endorsed, Cached, Published; RetryLimitExceeded and StorageOperationFailed only while true.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What is wanted now.
    pub image: Option<WantedImage>,
    /// What is on the volume and endorsed.
    pub artifact: Option<Artifact>,
    /// What is going on; gone when done.
    pub progress: Option<Progress>,
    /// How many tries failed since the last that did not.
    pub failures: Option<u32>,
    /// Of those, how many brought wrong bytes; after three nothing is tried until the list changes or someone asks.
    pub mismatches: Option<u32>,
    /// When the last try failed.
    pub last_failure_time: Option<Time>,
    /// When it is tried again.
    pub next_retry_time: Option<Time>,
    /// The value of the requestedAt annotation that was last acted on.
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The versions that are known: on the volume, in the list in force, and in the older lists that are kept. What is
    /// on the volume is first, then the newest of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub versions: Vec<VersionStatus>,
    /// How it stands at each target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub targets: Vec<TargetStatus>,
}

/// What the list in force (or the pin) wants.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedImage {
    /// Version of the image (hv:version).
    #[schemars(length(max = 128))]
    pub version: String,
    /// Title of the image (dc:title).
    #[schemars(length(max = 256))]
    pub title: String,
    /// ad:vo of the list.
    #[schemars(length(max = 256))]
    pub vo: Option<String>,
    /// Operating system (sl:os).
    #[schemars(length(max = 256))]
    pub os: String,
    /// Version of the operating system (sl:osversion).
    #[schemars(length(max = 256))]
    pub os_version: String,
    /// Architecture (sl:arch).
    #[schemars(length(max = 256))]
    pub arch: String,
    /// Hypervisor (hv:hypervisor).
    #[schemars(length(max = 256))]
    pub hypervisor: String,
    /// hv:format, as the list has it.
    #[schemars(length(max = 256))]
    pub format: Option<String>,
    /// hv:size in bytes; unset while the source does not say it and the image was never downloaded.
    pub size: Option<u64>,
    /// sha512 of the file; unset while the source has only its sha256 and the image was never downloaded.
    #[schemars(length(max = 128))]
    pub sha512: Option<String>,
    /// sha256 of the file (64 hexadecimal digits), if that is what the source has.
    #[schemars(length(max = 64))]
    pub sha256: Option<String>,
    /// hv:uri, without its query.
    #[schemars(length(max = 2048))]
    pub uri: String,
    /// hv:version of the list that says so.
    #[schemars(length(max = 128))]
    pub list_version: String,
    /// dc:date:created of that list.
    pub created: Time,
    /// When the endorsement ends: of the list, or of the image if that is sooner.
    pub expires: Time,
    /// Since when this operator wants this content.
    pub wanted_since: Time,
}

/// The bytes on the volume.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// hv:version of what is published.
    #[schemars(length(max = 128))]
    pub version: String,
    /// sha512 of the file.
    #[schemars(length(max = 128))]
    pub sha512: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// Size of the disk inside, in bytes, where the format tells.
    pub virtual_size: Option<u64>,
    /// The format, found by looking into the file.
    #[schemars(length(max = 32))]
    pub format: String,
    /// Path on the volume, from its root.
    #[schemars(length(max = 4096))]
    pub path: String,
    /// When the bytes were last verified.
    pub last_verified_time: Time,
}

/// How an image stands at one target.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Name of the CloudTarget.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The image's id there, while it is in circulation.
    #[schemars(length(max = 64))]
    pub id: Option<String>,
    /// Its name there, also while it is being registered.
    #[schemars(length(max = 128))]
    pub image_name: Option<String>,
    /// hv:version of what is in circulation there.
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// sha512 of what is in circulation there.
    #[schemars(length(max = 128))]
    pub sha512: Option<String>,
    /// Since when that version is.
    pub published_time: Option<Time>,
    /// Images of it there that are out of circulation.
    #[serde(default)]
    pub retired: u32,
    /// Published: the wanted version is in circulation there. Retired, False: older versions are not wholly out of it.
    #[serde(default)]
    #[schemars(length(max = 4))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is done: Download, or Unpack and Convert for a target that takes another form.
    #[schemars(length(max = 32))]
    pub step: String,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Such as `42%`.
    #[schemars(length(max = 8))]
    pub percent: String,
    /// Bytes a second, of late.
    pub bytes_per_second: u64,
}

impl Progress {
    /// So many bytes of so many.
    pub fn new(step: &str, bytes: u64, total_bytes: u64, bytes_per_second: u64) -> Self {
        let percent = format!("{}%", bytes.saturating_mul(100).checked_div(total_bytes).unwrap_or(100));
        Self { step: step.to_owned(), bytes, total_bytes, percent, bytes_per_second }
    }
}

/// One version that is known.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// Version of the image (hv:version).
    #[schemars(length(max = 128))]
    pub version: String,
    /// sha512 of the file; unset while the source has only its sha256 and it was never downloaded.
    #[schemars(length(max = 128))]
    pub sha512: Option<String>,
    /// sha256 of the file (64 hexadecimal digits), if its sha512 is not known.
    #[schemars(length(max = 64))]
    pub sha256: Option<String>,
    /// Where it is. `Endorsed` or `Archived`: on the volume. `Listed`: the list in force has it, and it is not on the
    /// volume. `OlderList`: only an older list that is kept has it. A pin of the last two downloads it.
    #[schemars(length(max = 32))]
    pub state: String,
    /// When it was archived.
    pub archived_time: Option<Time>,
    /// hv:size in bytes, if a list has it.
    pub size: Option<u64>,
    /// hv:version of the newest list that has it.
    #[schemars(length(max = 128))]
    pub list_version: Option<String>,
    /// dc:date:created of that list.
    pub list_created: Option<Time>,
}

has_conditions!(CachedImageStatus);

impl super::HasConditions for TargetStatus {
    fn observed_generation(&self) -> Option<i64> {
        self.conditions.first().and_then(|condition| condition.observed_generation)
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}
