//! `CloudTarget.spec.openStack`: an OpenStack, by Keystone and Glance.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::common::{ObjectReference, duration};
use super::opennebula::{HandOverUrl, Update};
use super::subscription::Tls;

/// The longest value of a property in `openStack.properties`, in characters.
pub const LONGEST_PROPERTY: usize = 4096;

/// An OpenStack.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.tls.trust != 'Grid'",
    "message": "expected tls.trust System or Secret",
}, {
    "rule": "self.update != 'InPlace'",
    "message": "expected update: Staged, the only order: Glance lets two images have one name",
}]))]
pub struct OpenStack {
    /// Address of Keystone, with or without /v3, such as `https://keystone.example.org:5000/v3`. Never with user:password@,
    /// use secretRef.
    #[schemars(length(max = 2048), regex(pattern = r"^https?://"))]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!self.matches('^[a-z]+://[^/?#]*@')",
        "message": "expected no user:password@, use secretRef",
    }]))]
    pub auth_url: String,
    /// The region whose Glance is used. Unset: that of clouds.yaml, or the only one of the catalogue.
    #[schemars(length(min = 1, max = 255))]
    pub region: Option<String>,
    /// Which of Glance's addresses in the catalogue is used. Unset: that of clouds.yaml, or Public.
    pub interface: Option<Interface>,
    /// A Secret with an application credential, with user and password, or with clouds.yaml. Its project has the images.
    pub secret_ref: ObjectReference,
    /// The entry of the Secret's clouds.yaml. Unset: the only one.
    #[schemars(length(min = 1, max = 255))]
    pub cloud: Option<String>,
    /// How the servers' certificates are checked: System or Secret.
    #[serde(default)]
    pub tls: Tls,
    /// How Glance gets the bytes.
    #[serde(default)]
    pub hand_over: OpenStackHandOver,
    /// What an image's first registration gets; later versions carry over what the site made of it.
    #[serde(default)]
    pub initial: OpenStackInitial,
    /// More properties of every registration; not those that the operator or Glance sets itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": LONGEST_PROPERTY}))]
    pub properties: BTreeMap<String, String>,
    /// What becomes of images that are out of circulation.
    #[serde(default)]
    pub retired: OpenStackRetired,
    /// Images of the project that a CachedImage may name for adoption (vmcatcher.io/adopt). Unset: none.
    pub adopt: Option<OpenStackAdopt>,
    /// Staged, the only order here: the new version is complete before the old one is touched.
    #[serde(default)]
    pub update: Update,
}

/// Which address of a service in Keystone's catalogue is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Interface {
    /// For everyone.
    Public,
    /// For programs within the cloud.
    Internal,
    /// For administrators.
    Admin,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How Glance gets the bytes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.type != 'URL' || has(self.url)",
    "message": "expected url with type: URL",
}, {
    "rule": "self.type != 'Upload' || !has(self.url)",
    "message": "expected no url with type: Upload",
}]))]
pub struct OpenStackHandOver {
    /// Upload (default): the operator sends them. URL: Glance pulls from the operator (import method web-download).
    #[serde(default)]
    pub r#type: OpenStackHandOverType,
    /// With type URL.
    pub url: Option<HandOverUrl>,
}

/// By which way Glance gets the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OpenStackHandOverType {
    /// The operator sends them.
    #[default]
    Upload,
    /// Glance pulls from the operator's image server.
    #[serde(rename = "URL")]
    Url,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What an image's first registration gets.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.members) || size(self.members) == 0 || self.visibility == 'Shared'",
    "message": "expected members with visibility: Shared only",
}]))]
pub struct OpenStackInitial {
    /// Its name: the image's Title (default), or its Identifier.
    #[serde(default)]
    pub name: OpenStackName,
    /// Who may use it. Default Private: publishing it is the site's decision.
    #[serde(default)]
    pub visibility: OpenStackVisibility,
    /// With visibility Shared: the projects that may use it, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64), regex(pattern = r"^[0-9A-Za-z_-]+$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub members: Vec<String>,
    /// The projects that images of one VO are shared with; goes before visibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["vo", "projectId"]))]
    pub vo_projects: Vec<VoProject>,
}

/// What the name of an image is at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OpenStackName {
    /// dc:title of the list.
    #[default]
    Title,
    /// dc:identifier of the list.
    Identifier,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Who may use an image, as in Glance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OpenStackVisibility {
    /// The operator's project.
    #[default]
    Private,
    /// The operator's project and the members.
    Shared,
    /// Everyone who knows its id.
    Community,
    /// Everyone. Most clouds let administrators alone do that.
    Public,
    /// A value of a newer version of this API: the object is `Stalled`.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// A project that the images of one VO are shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoProject {
    /// ad:vo of the list.
    #[schemars(length(min = 1, max = 256))]
    pub vo: String,
    /// The project's id. A name cannot be given: most users cannot look up other projects.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[0-9A-Za-z_-]+$"))]
    pub project_id: String,
}

/// What becomes of images that are out of circulation, besides that they are private, hidden and deactivated.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackRetired {
    /// When one that has a successor is deleted, such as 2160h. Unset: never.
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = duration()))]
    pub delete_after: Option<String>,
}

/// Images of the operator's project that may be adopted: a CachedImage that names one takes its place, and puts it out
/// of circulation. An image of another project, one that another operator claims, or one that does not carry the
/// identifier, is never taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackAdopt {
    /// Their ids.
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(inner(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub image_ids: Vec<String>,
}
