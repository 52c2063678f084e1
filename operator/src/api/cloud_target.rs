//! `CloudTarget`: a cloud where images are published.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Tls;
use super::common::{ObjectReference, has_conditions};
use super::opennebula::OpenNebula;
use super::openstack::OpenStack;

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
    "rule": "self.type != 'OpenNebula' || (has(self.openNebula) && !has(self.openStack))",
    "message": "expected openNebula, and no openStack, with type: OpenNebula",
}, {
    "rule": "self.type != 'OpenStack' || (has(self.openStack) && !has(self.openNebula))",
    "message": "expected openStack, and no openNebula, with type: OpenStack",
}, {
    "rule": "self.type == oldSelf.type",
    "message": "type cannot change, make another CloudTarget",
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
    /// With type OpenStack.
    pub open_stack: Option<OpenStack>,
}

impl CloudTargetSpec {
    /// What the member that `type` names has in common with those of other types; `None` if it is missing.
    pub fn access(&self) -> Option<CloudAccess<'_>> {
        match self.r#type {
            CloudType::OpenNebula => self.open_nebula.as_ref().map(|cloud| CloudAccess {
                member: "openNebula",
                address: &cloud.endpoint,
                secret_ref: &cloud.secret_ref,
                tls: &cloud.tls,
                place: None,
            }),
            CloudType::OpenStack => self.open_stack.as_ref().map(|cloud| CloudAccess {
                member: "openStack",
                address: &cloud.auth_url,
                secret_ref: &cloud.secret_ref,
                tls: &cloud.tls,
                place: Some((cloud.region.as_deref(), cloud.cloud.as_deref(), &cloud.secret_ref.name)),
            }),
            CloudType::Unknown => None,
        }
    }
}

/// How a cloud is reached, whatever its type.
#[derive(Debug, Clone, Copy)]
pub struct CloudAccess<'a> {
    /// The member of the spec.
    pub member: &'static str,
    /// The address of its API.
    pub address: &'a str,
    /// The Secret with the credentials.
    pub secret_ref: &'a ObjectReference,
    /// How the server's certificate is checked.
    pub tls: &'a Tls,
    /// What distinguishes the places for images behind one address: the region, the entry of clouds.yaml and the Secret.
    /// `None` where there is only one place.
    pub place: Option<(Option<&'a str>, Option<&'a str>, &'a str)>,
}

impl CloudAccess<'_> {
    /// Whether both lead to the same images. An address that is no URL leads nowhere.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let address = |access: &Self| access.address.parse::<url::Url>().ok();
        self.place == other.place && address(self).is_some_and(|own| address(other) == Some(own))
    }
}

fn default_formats() -> Vec<ImageFormat> {
    vec![ImageFormat::Qcow2, ImageFormat::Raw]
}

/// What kind of cloud a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloudType {
    /// OpenNebula 5.12 to 7.x, by XML-RPC.
    OpenNebula,
    /// OpenStack, by Keystone v3 and Glance v2.
    OpenStack,
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
            // Glance compares `os_hash_value`, a SHA-512.
            Self::OpenStack | Self::Unknown => false,
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
