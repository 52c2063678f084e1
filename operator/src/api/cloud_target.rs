//! `CloudTarget`: a cloud where images are published.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Tls;
use super::common::{ObjectReference, duration, has_conditions};

/// A cloud where images are published.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "vmcatcher.io",
    version = "v1alpha1",
    kind = "CloudTarget",
    doc = "A cloud where images are published.",
    namespaced,
    status = "CloudTargetStatus",
    derive = "PartialEq",
    shortname = "ctgt",
    category = "vmcatcher",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Images", type_ = "integer", json_path = ".status.images"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pending"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.serverVersion", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.type != 'OpenNebula' || has(self.openNebula)",
    "message": "expected openNebula with type: OpenNebula",
}]))]
pub struct CloudTargetSpec {
    /// What kind of cloud it is; names the one member that is set.
    pub r#type: CloudType,
    /// True: not one call is made to this cloud. What is owed is told and done afterwards.
    #[serde(default)]
    pub suspend: bool,
    /// The formats that it accepts, the best first; an image that is neither is converted to the first. Default qcow2
    /// and raw.
    #[serde(default = "default_formats")]
    #[schemars(length(min = 1, max = 2))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub formats: Vec<ImageFormat>,
    /// With type OpenNebula.
    pub open_nebula: Option<OpenNebula>,
}

fn default_formats() -> Vec<ImageFormat> {
    vec![ImageFormat::Qcow2, ImageFormat::Raw]
}

/// What kind of cloud a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloudType {
    /// OpenNebula 5.12 to 7.x, by XML-RPC.
    OpenNebula,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl CloudType {
    /// Whether the cloud compares SHA-1 while it copies an image.
    pub fn compares_sha1(self) -> bool {
        match self {
            Self::OpenNebula => true,
            Self::Unknown => false,
        }
    }
}

/// A format that a cloud accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// QEMU copy on write, version 2 or 3.
    Qcow2,
    /// A disk, byte by byte.
    Raw,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// An OpenNebula.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.tls.trust != 'Grid'",
    "message": "expected tls.trust System or Secret",
}]))]
pub struct OpenNebula {
    /// Address of its XML-RPC API, http or https, with path and port (most often /RPC2 on 2633). Never with
    /// user:password@, use secretRef.
    #[schemars(length(max = 2048), regex(pattern = r"^https?://"))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!self.matches('^[a-z]+://[^/?#]*@')",
        "message": "expected no user:password@, use secretRef",
    }]))]
    pub endpoint: String,
    /// A Secret with username and password, or with one_auth (the line user:password).
    pub secret_ref: ObjectReference,
    /// How the server's certificate is checked: System or Secret.
    #[serde(default)]
    pub tls: Tls,
    /// The datastore where images are registered: a name, or an id as a number.
    #[schemars(extend("maxLength" = 128))]
    pub datastore: IntOrString,
    /// How the cloud gets the bytes.
    pub hand_over: HandOver,
    /// What an image's first registration gets; later versions carry over what the site made of it.
    #[serde(default)]
    pub initial: Initial,
    /// What becomes of images that are out of circulation.
    #[serde(default)]
    pub retired: Retired,
    /// Images of the cloud that a CachedImage may name for adoption (vmcatcher.io/adopt). Unset: none.
    pub adopt: Option<Adopt>,
    /// More attributes of every registration; not those that the operator sets itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": LONGEST_ATTRIBUTE}))]
    pub template: BTreeMap<String, String>,
    /// Staged (default): the new version is complete under a name of its own before the old one is touched. InPlace:
    /// the old one gives up its name first.
    #[serde(default)]
    pub update: Update,
}

/// How a cloud gets the bytes.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.type != 'Path' || (has(self.path) && !has(self.url))",
    "message": "expected path, and no url, with type: Path",
}, {
    "rule": "self.type != 'URL' || (has(self.url) && !has(self.path))",
    "message": "expected url, and no path, with type: URL",
}]))]
pub struct HandOver {
    /// Path: it reads the volume itself. URL: it pulls from the operator. Names the one member that is set.
    pub r#type: HandOverType,
    /// With type Path.
    pub path: Option<HandOverPath>,
    /// With type URL.
    pub url: Option<HandOverUrl>,
}

/// By which way a cloud gets the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HandOverType {
    /// It reads the volume itself.
    Path,
    /// It pulls from the operator's image server.
    #[serde(rename = "URL")]
    Url,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The longest value of an attribute in `openNebula.template`, in characters.
pub const LONGEST_ATTRIBUTE: usize = 4096;

/// The volume as the cloud sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandOverPath {
    /// Where the cloud's front-end has the volume, absolute. The datastore's SAFE_DIRS must have it.
    #[schemars(length(max = 1024), regex(pattern = r"^/"))]
    pub prefix: String,
}

/// The operator's image server as the cloud reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandOverUrl {
    /// The address that leads to the operator's image server, such as https://images.example.org. Signed paths that are
    /// good for some hours are put below it.
    #[schemars(length(max = 1024), regex(pattern = r"^https?://[^?#]+$"))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!self.matches('^[a-z]+://[^/?#]*@')",
        "message": "expected no user:password@, the paths are signed",
    }]))]
    pub base: String,
}

/// What an image's first registration gets.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Initial {
    /// Its group: a name, or an id as a number. Unset: the operator's user's.
    #[schemars(extend("maxLength" = 128))]
    pub group: Option<IntOrString>,
    /// Its permissions, three octal digits. Default 600: publishing it is the site's decision.
    #[serde(default = "default_permissions")]
    #[schemars(length(max = 3), regex(pattern = r"^[0-7]{3}$"))]
    pub permissions: String,
    /// Its group by the list's VO; goes before group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["vo"]))]
    pub vo_groups: Vec<VoGroup>,
}

impl Default for Initial {
    fn default() -> Self {
        Self { group: None, permissions: default_permissions(), vo_groups: Vec::new() }
    }
}

fn default_permissions() -> String {
    "600".to_owned()
}

/// The group for images of one VO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoGroup {
    /// ad:vo of the list.
    #[schemars(length(max = 256))]
    pub vo: String,
    /// The group: a name, or an id as a number.
    #[schemars(extend("maxLength" = 128))]
    pub group: IntOrString,
}

/// What becomes of images that are out of circulation, besides mode 700.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retired {
    /// Their owner: a name, or an id as a number. Default oneadmin.
    #[serde(default = "oneadmin")]
    #[schemars(extend("maxLength" = 128))]
    pub owner: IntOrString,
    /// Their group: a name, or an id as a number. Default oneadmin.
    #[serde(default = "oneadmin")]
    #[schemars(extend("maxLength" = 128))]
    pub group: IntOrString,
    /// When one that has a successor and no VM is deleted, such as 2160h. Unset: never.
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = duration()))]
    pub delete_after: Option<String>,
}

impl Default for Retired {
    fn default() -> Self {
        Self { owner: oneadmin(), group: oneadmin(), delete_after: None }
    }
}

fn oneadmin() -> IntOrString {
    IntOrString::String("oneadmin".to_owned())
}

/// Images of the cloud that may be adopted: a CachedImage that names one takes its place, owner and permissions, and puts
/// it out of circulation. An image that another operator claims, or that does not carry the identifier, is never taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.imageIds) && size(self.imageIds) > 0) || (has(self.owners) && size(self.owners) > 0)",
    "message": "expected imageIds, owners or both",
}]))]
pub struct Adopt {
    /// Their ids there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(range(min = 0, max = 2_147_483_647)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub image_ids: Vec<i64>,
    /// All images of these owners: names, or ids as numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[schemars(extend("items" = {"x-kubernetes-int-or-string": true, "maxLength": 128}))]
    pub owners: Vec<IntOrString>,
}

/// In which order an update goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Update {
    /// The new version is complete under a name of its own before the old one is touched.
    #[default]
    Staged,
    /// The old one gives up its name first.
    InPlace,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What was seen of a target.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudTargetStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// Ready: log-in, datastore and rights were seen to work.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The server's version.
    #[schemars(length(max = 64))]
    pub server_version: Option<String>,
    /// Images that are published there.
    #[serde(default)]
    pub images: u32,
    /// Images that are to be published or taken out of circulation there and are not yet.
    #[serde(default)]
    pub pending: u32,
    /// When log-in and datastore were last seen to work.
    pub last_probe_time: Option<Time>,
}

has_conditions!(CloudTargetStatus);
