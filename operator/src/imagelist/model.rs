//! What an image list says, once it has been read.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{ImageId, LeftOut, ListVersion, Sha512Digest, SourceUrl};

/// The payload of a signed list: `hv:imagelist`.
///
/// Made only by the parser, so every field was checked. It says nothing about trust.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageList {
    /// `dc:identifier` of the list.
    pub identifier: ImageId,
    /// `hv:version` of the list.
    pub version: ListVersion,
    /// `dc:date:created`.
    pub created: Timestamp,
    /// `dc:date:expires`.
    pub expires: Timestamp,
    /// `dc:title`.
    pub title: String,
    /// `dc:description`.
    pub description: String,
    /// `dc:source`.
    pub source: String,
    /// `hv:uri`: where the list says that it lives; as text, since it never moves a subscription.
    pub uri: String,
    /// `hv:endorser`: one or, from newer publishers, several.
    pub endorsers: Vec<NamedEndorser>,
    /// `ad:vo`: the virtual organisation, where the list is one's.
    pub vo: Option<String>,
    /// The images that can be used, in the order of the list.
    pub images: Vec<ListedImage>,
    /// The images that were refused alone, each with its reason, in the order of the list.
    pub refused: Vec<RefusedImage>,
    /// What was read and left out, where somebody said what is [wanted](super::Wanted).
    pub left_out: LeftOut,
    /// All other keys of the list, as they are; none where somebody said what is wanted.
    pub extra: Map<String, Value>,
}

/// Who a list says endorses it: `hv:endorser` / `hv:x509`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEndorser {
    /// `hv:dn`: the subject, as a one-line name.
    pub subject: String,
    /// `hv:ca`: the issuer, as a one-line name.
    pub issuer: String,
    /// `hv:email`.
    pub email: String,
    /// `dc:creator`.
    pub creator: String,
}

/// One usable image of a list: `hv:image`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedImage {
    /// `dc:identifier` of the image: the same over all its versions.
    pub identifier: ImageId,
    /// `hv:version`.
    pub version: ListVersion,
    /// `dc:title`.
    pub title: String,
    /// `dc:description`.
    pub description: String,
    /// `hv:size` in bytes.
    pub size: u64,
    /// `sl:checksum:sha512` of the file.
    pub sha512: Sha512Digest,
    /// `hv:uri`: `http` or `https`.
    pub uri: SourceUrl,
    /// `sl:os`.
    pub os: String,
    /// `sl:osversion`.
    pub os_version: String,
    /// `sl:arch`.
    pub arch: String,
    /// `hv:hypervisor`.
    pub hypervisor: String,
    /// `sl:comments`.
    pub comments: String,
    /// `hv:format`, as it stands; what the file is, is found by looking into it.
    pub format: Option<String>,
    /// `ad:mpuri`: the marketplace's address of the image, which information systems match by.
    pub mpuri: Option<String>,
    /// `dc:date:expires` of the image alone.
    pub expires: Option<Timestamp>,
    /// All other keys of the image, as they are; none where somebody said what is wanted of the list.
    pub extra: Map<String, Value>,
}

/// An image of a list that was refused while the rest of the list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedImage {
    /// `dc:identifier` as it stands, or `image 3` (counted from 1) where it is missing; at most 128 characters, with
    /// those that are not printable replaced.
    pub identifier: String,
    /// Why, in one word.
    pub reason: ImageRefusal,
    /// What was expected and what was found.
    pub message: String,
}

/// The reasons for which one image is refused. The texts are the `reason` in a subscription's `status.notes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageRefusal {
    /// A required field is missing or not of its type.
    ImageMalformed,
    /// The identifier is not a safe file name.
    IdentifierUnsafe,
    /// The identifier stands more than once in the list; all its entries are refused.
    IdentifierDuplicate,
}

impl ImageRefusal {
    /// The reason as it stands in status and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImageMalformed => "ImageMalformed",
            Self::IdentifierUnsafe => "IdentifierUnsafe",
            Self::IdentifierDuplicate => "IdentifierDuplicate",
        }
    }
}
