//! Sources that are not an image list: signed checksum files and signed simplestreams mirrors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The pattern of an address in these sources.
const ADDRESS: &str = r"^https?://[^/?#@]+/[^#]*$";

/// A file of checksums with an OpenPGP signature, such as SHA256SUMS or CHECKSUM. Each entry of images is one image.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChecksumsSource {
    /// Address of the file: https or http. The names in it are relative to this address.
    #[schemars(length(max = 2048), regex(pattern = ADDRESS))]
    pub url: String,
    /// Address of the detached signature. Unset: the file itself is clear-signed, or its address with .gpg, .sign, .asc
    /// or .sig is the signature; they are tried in this order.
    #[schemars(length(max = 2048), regex(pattern = ADDRESS))]
    pub signature: Option<String>,
    /// The images, each found in the file by its name.
    #[schemars(length(min = 1, max = 100))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub images: Vec<ChecksumImage>,
}

/// One image in a file of checksums.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChecksumImage {
    /// Name of the image. Its identifier follows from the address of the file and this name.
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// A regular expression that matches the whole name of its file. The group `(?<version>…)` is its version, and of
    /// several files the one with the greatest version is taken. Without that group it must match one file only, and
    /// the version is the beginning of its digest.
    #[schemars(length(min = 1, max = 512))]
    pub file: String,
    /// Title of the image. Unset: the name of the file.
    #[schemars(length(max = 128))]
    pub title: Option<String>,
    /// Operating system, such as Linux.
    #[schemars(length(max = 128))]
    pub os: Option<String>,
    /// Version of the operating system.
    #[schemars(length(max = 128))]
    pub os_version: Option<String>,
    /// Architecture, such as `x86_64`.
    #[schemars(length(max = 128))]
    pub arch: Option<String>,
}

/// A simplestreams mirror whose index and products file are both signed with OpenPGP. Each product that matches is one
/// image, in its newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimpleStreamsSource {
    /// Address of the index, ROOT/streams/v1/NAME: clear-signed (.sjson), or plain (.json) with its detached signature at
    /// the same address with .gpg. All paths are relative to ROOT.
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^/?#@]+/([^?#]*/)?streams/v1/[^/?#]+$"))]
    pub url: String,
    /// `content_id` of the products file, such as com.ubuntu.cloud:released:download.
    #[schemars(length(min = 1, max = 256))]
    pub content_id: String,
    /// Names of products, as globs (`*`, `?`, `[a-z]`, `{a,b}`).
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 256)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub products: Vec<String>,
    /// The ftype of the file in each version, such as disk1.img.
    #[schemars(length(min = 1, max = 64))]
    pub file_type: String,
}
