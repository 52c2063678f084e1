//! `ImageListSubscription`: which list is followed, whose word counts, which of its images are wanted.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::common::{DeletionPolicy, ObjectReference, duration, duration_of_at_least};
use super::signed_files::{ChecksumsSource, SimpleStreamsSource};
use super::subscription_status::ImageListSubscriptionStatus;

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
    printcolumn(name = "Fetched", type_ = "date", json_path = ".status.lastSuccessfulFetchTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.source.url", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.list.expires", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.source.url) || (self.verify.mode == 'Enforce' && !has(self.verify.decryptionSecretRef))",
    "message": "expected mode: Enforce and no decryptionSecretRef with a source other than url",
}]))]
pub struct ImageListSubscriptionSpec {
    /// Where the list is fetched.
    pub source: ListSource,
    /// Whose signature is believed.
    pub verify: Verify,
    /// How often the list is fetched: at least 1m. Default 6h.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = duration_of_at_least("1m")))]
    pub interval: String,
    /// How long one fetch of the list may take. Default 60s.
    #[serde(default = "default_timeout")]
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = duration_of_at_least("1s")))]
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
    /// When a list drops too many of the cached images, it waits until verify.acceptList names it.
    #[serde(default)]
    pub removal_limit: RemovalLimit,
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
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(self.mode == 'Enforce') == has(self.endorserRefs)",
        "message": "expected endorserRefs with mode: Enforce, and none with AutoEndorse",
    },
    {
        "rule": "self.requiredEndorsements <= (has(self.endorserRefs) ? size(self.endorserRefs) : 1)",
        "message": "expected requiredEndorsements to be at most the number of endorserRefs",
    },
    {
        // On the parent: a rule on an optional field is not asked when the field is taken away.
        "rule": "!has(oldSelf.identifier) || (has(self.identifier) && self.identifier == oldSelf.identifier)",
        "message": "identifier cannot change once it is set; another list is another subscription",
    },
]))]
pub struct Verify {
    /// Enforce: the Endorsers of endorserRefs are believed. AutoEndorse: the first signer that leads to a trust anchor,
    /// and from then on only that one; the operator must allow it (--allow-auto-endorse).
    #[serde(default)]
    pub mode: VerifyMode,
    /// With Enforce: the Endorsers whose signature is believed; any one of them suffices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub endorser_refs: Vec<ObjectReference>,
    /// How many different ones of them must have signed, by different signatures. Default 1.
    #[serde(default = "default_endorsements")]
    #[schemars(range(min = 1, max = 16))]
    pub required_endorsements: u8,
    /// A Secret with tls.crt and tls.key: the certificate that lists are encrypted to, and its key. Unset: an encrypted
    /// list is refused. The signature inside is required all the same.
    pub decryption_secret_ref: Option<ObjectReference>,
    /// dc:identifier that the list must have. Unset: learned from the first list accepted. Cannot change once set.
    #[schemars(length(max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+=-]*$"))]
    pub identifier: Option<String>,
    /// The list expires this long after it was created, if that is sooner than its own expiry (such as 2160h).
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = duration()))]
    pub max_list_age: Option<String>,
    /// A message that is taken although its version goes back: its digest, as status.candidate.digest tells it. It
    /// never makes up for a signature, is for this one message only, and counts once: left here, it takes nothing again.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub accept_list: Option<String>,
}

/// Whose signature is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VerifyMode {
    /// That of the Endorsers that are named.
    #[default]
    Enforce,
    /// That of the first signer that was seen.
    AutoEndorse,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
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
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageMatch {
    /// Name of this match, for messages.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// sl:os, such as Linux.
    #[schemars(length(max = 128))]
    pub os: Option<String>,
    /// Version of the operating system (sl:osversion).
    #[schemars(length(max = 128))]
    pub os_version: Option<String>,
    /// sl:arch, such as x86_64.
    #[schemars(length(max = 128))]
    pub arch: Option<String>,
    /// hv:hypervisor, such as kvm; of several (QEMU,KVM) one must match.
    #[schemars(length(max = 128))]
    pub hypervisor: Option<String>,
    /// Title (dc:title).
    #[schemars(length(max = 128))]
    pub title: Option<String>,
}

/// How many cached images a list may drop: it is held back when it drops more than both. Expiry, revocation and one's
/// own selection are never held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovalLimit {
    /// Of a hundred cached images.
    #[serde(default = "default_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: u8,
    /// So many are free, whatever share they are.
    #[serde(default = "default_free")]
    #[schemars(range(min = 0, max = 50_000))]
    pub free: u32,
}

fn default_percent() -> u8 {
    50
}

fn default_free() -> u32 {
    2
}

impl Default for RemovalLimit {
    fn default() -> Self {
        Self { percent: default_percent(), free: default_free() }
    }
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
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = duration()))]
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

/// Where a list is fetched.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.url), has(self.checksums), has(self.simpleStreams), has(self.oci)].exists_one(one, one)",
    "message": "expected exactly one of url, checksums, simpleStreams and oci",
}]))]
pub struct ListSource {
    /// Address of an image list (HEPiX): https or http; file only without a cluster. Never with user:password@, use secretRef.
    #[schemars(length(max = 2048), regex(pattern = r"^(https?|file)://"))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!self.matches('^[a-z]+://[^/?#]*@')",
        "message": "expected no user:password@, use secretRef",
    }]))]
    pub url: Option<String>,
    /// A signed file of checksums.
    pub checksums: Option<ChecksumsSource>,
    /// A signed simplestreams mirror.
    pub simple_streams: Option<SimpleStreamsSource>,
    /// A repository of VM disks in an OCI registry. Each tag is an image of its own, and must be signed.
    pub oci: Option<OciSource>,
    /// A Secret with one of: username and password; token (sent as the user name, with the password
    /// x-oauth-basic); bearerToken. For a registry also one with .dockerconfigjson.
    pub secret_ref: Option<ObjectReference>,
    /// How the server's certificate is checked.
    #[serde(default)]
    pub tls: Tls,
}

/// A repository of VM disks as OCI artefacts.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.tags) != has(self.digest)",
    "message": "expected exactly one of tags and digest",
}]))]
pub struct OciSource {
    /// Host, port if it is not 443, and path, as in registry.example.org/images/ubuntu. No scheme, no tag.
    #[schemars(length(min = 3, max = 512), regex(pattern = r"^[A-Za-z0-9.:\[\]-]+/[a-z0-9._/-]+$"))]
    pub repository: String,
    /// A glob for the tags that are images; case does not matter. Tags of signatures (sha256-…) never are. At most 100 tags
    /// may match.
    #[schemars(length(min = 1, max = 128))]
    pub tags: Option<String>,
    /// The digest of the one manifest that is the image.
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// True: the registry is asked with http, without TLS. Anyone on the way can see what is fetched, and can hold it back;
    /// they cannot change it, because of the signatures. For registries on this machine and in closed networks only.
    #[serde(default)]
    pub insecure: bool,
}

/// How a server's certificate is checked.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.trust != 'Secret' || has(self.certSecretRef)",
        "message": "expected certSecretRef with trust: Secret",
    },
    {
        "rule": "self.trust != 'Grid' || !has(self.certSecretRef)",
        "message": "expected no certSecretRef with trust: Grid",
    },
]))]
pub struct Tls {
    /// System (default): the operating system's authorities. Grid: those of the trust directory. Secret: ca.crt of
    /// certSecretRef.
    #[serde(default)]
    pub trust: TlsTrust,
    /// A Secret with ca.crt, and tls.crt and tls.key where the server asks for a client certificate.
    pub cert_secret_ref: Option<ObjectReference>,
}

/// Whose word is taken for a server's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsTrust {
    /// The operating system's certificate authorities.
    #[default]
    System,
    /// The certificate authorities of the trust directory.
    Grid,
    /// The authority in `ca.crt` of the Secret.
    Secret,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
