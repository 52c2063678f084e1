//! The content of an image list, and its document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ContentDigest, ImageId, ListVersion, Sha512Digest, SourceUrl};

/// The payload of a signed list: `hv:imagelist`.
///
/// Only the parser makes it, so every field is checked. It does not mean that the list is trusted.
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
    /// `hv:uri`: the address of the list as text. It never changes the address of a subscription.
    pub uri: String,
    /// `hv:endorser`: one or, from newer publishers, several.
    pub endorsers: Vec<NamedEndorser>,
    /// `ad:vo`: the virtual organisation, if the list belongs to one.
    pub vo: Option<String>,
    /// The usable images, in the order of the list.
    pub images: Vec<ListedImage>,
    /// The images that were refused, each with its reason, in the order of the list.
    pub refused: Vec<RefusedImage>,
    /// The numbers of images that were left out because they are not [wanted](super::WantedImages).
    pub left_out: LeftOut,
    /// All other keys of the list, unchanged; empty if the list was read for some images only.
    pub extra: Map<String, Value>,
}

/// An endorser that the list names: `hv:endorser` / `hv:x509`.
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
    /// `dc:identifier` of the image: the same for all its versions.
    pub identifier: ImageId,
    /// `hv:version`.
    pub version: ListVersion,
    /// `dc:title`.
    pub title: String,
    /// `dc:description`.
    pub description: String,
    /// `hv:size` in bytes; `None` if the source does not state it.
    pub size: Option<u64>,
    /// The digest of the file as the source states it: `sl:checksum:sha512` of an image list.
    pub digest: ContentDigest,
    /// What was learned about the bytes with that digest when they were downloaded; `None` until then, and if the source
    /// states everything.
    pub learned: Option<LearnedContent>,
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
    /// `hv:format` as in the list. The actual format is detected from the file.
    pub format: Option<String>,
    /// `ad:mpuri`: the address of the image in the marketplace, which information systems use as a key.
    pub mpuri: Option<String>,
    /// `dc:date:expires` of the image alone.
    pub expires: Option<Timestamp>,
    /// All other keys of the image, unchanged; empty if the list was read for some images only.
    pub extra: Map<String, Value>,
}

/// What is known about bytes that were once downloaded and verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedContent {
    /// Their SHA-512, by which the cache stores them.
    pub sha512: Sha512Digest,
    /// Their number.
    pub size: u64,
}

impl ListedImage {
    /// The SHA-512 of the file: the source states it, or it was learned.
    pub fn sha512(&self) -> Option<Sha512Digest> {
        self.digest.sha512().or_else(|| Some(self.learned?.sha512))
    }

    /// The size of the file in bytes: the source states it, or it was learned.
    pub fn size(&self) -> Option<u64> {
        self.size.or_else(|| Some(self.learned?.size))
    }

    /// The strongest digest that is known of the file.
    pub fn content(&self) -> ContentDigest {
        self.sha512().map_or(self.digest, ContentDigest::Sha512)
    }

    /// Whether bytes with this digest are those of the file.
    pub fn has(&self, digest: &ContentDigest) -> bool {
        self.digest == *digest || self.content() == *digest
    }
}

/// An image that was refused although the list is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedImage {
    /// `dc:identifier` as in the list, or `image 3` (counted from 1) if it is missing. At most 128 characters, with
    /// characters that are not printable replaced.
    pub identifier: String,
    /// The reason.
    pub reason: ImageRefusal,
    /// What was expected and what was found.
    pub message: String,
}

/// The reasons for which one image is refused. The texts are the `reason` in a subscription's `status.notes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageRefusal {
    /// A required field is missing or has the wrong type.
    ImageMalformed,
    /// The identifier is not a safe file name.
    IdentifierUnsafe,
    /// The identifier occurs more than once in the list; all its entries are refused.
    IdentifierDuplicate,
    /// The image alone is not endorsed, in a source whose images are signed one by one. The text is the reason, as for a
    /// list.
    NotEndorsed(&'static str),
    /// The repository no longer has the tag of an accepted artefact.
    TagGone,
}

impl ImageRefusal {
    /// The reason as it is written in status and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImageMalformed => "ImageMalformed",
            Self::IdentifierUnsafe => "IdentifierUnsafe",
            Self::IdentifierDuplicate => "IdentifierDuplicate",
            Self::NotEndorsed(reason) => reason,
            Self::TagGone => "TagGone",
        }
    }
}

/// The number of entries that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Usable images.
    pub images: usize,
    /// Refused images.
    pub refused: usize,
}

impl ImageList {
    /// The end of a list that states none: 9999-12-30T22:00:00Z, the last second that can be shown in every time zone.
    /// (RFC 5280 section 4.1.2.5 has 99991231235959Z for "no well-defined expiration date".)
    pub const NEVER: Timestamp = Timestamp::constant(253_402_207_200, 0);

    /// The document in the current form, with all kept keys and without the refused images.
    ///
    /// Parsing it gives the same list. Dates are in UTC, sizes are numbers, and a single endorser is an object.
    pub fn to_json(&self) -> Value {
        let endorsers: Vec<Value> = self.endorsers.iter().map(endorser).collect();
        let endorser = if let [only] = endorsers.as_slice() { only.clone() } else { Value::Array(endorsers) };
        let mut list = members([
            ("dc:date:created", self.created.to_string().into()),
            ("dc:date:expires", self.expires.to_string().into()),
            ("dc:identifier", self.identifier.as_str().into()),
            ("dc:title", self.title.as_str().into()),
            ("dc:description", self.description.as_str().into()),
            ("dc:source", self.source.as_str().into()),
            ("hv:version", self.version.as_str().into()),
            ("hv:uri", self.uri.as_str().into()),
            ("hv:endorser", endorser),
        ]);
        add(&mut list, "ad:vo", self.vo.as_deref());
        list.extend(self.extra.clone());
        list.insert("hv:images".to_owned(), self.images.iter().map(|one| json!({"hv:image": image(one)})).collect());
        json!({ "hv:imagelist": list })
    }
}

fn endorser(named: &NamedEndorser) -> Value {
    json!({"hv:x509": {
        "hv:dn": named.subject,
        "hv:ca": named.issuer,
        "hv:email": named.email,
        "dc:creator": named.creator,
    }})
}

fn image(image: &ListedImage) -> Value {
    let mut members = members([
        ("dc:identifier", image.identifier.as_str().into()),
        ("hv:version", image.version.as_str().into()),
        ("dc:title", image.title.as_str().into()),
        ("dc:description", image.description.as_str().into()),
        ("hv:uri", image.uri.url().as_str().into()),
        ("sl:os", image.os.as_str().into()),
        ("sl:osversion", image.os_version.as_str().into()),
        ("sl:arch", image.arch.as_str().into()),
        ("hv:hypervisor", image.hypervisor.as_str().into()),
        ("sl:comments", image.comments.as_str().into()),
    ]);
    if let Some(size) = image.size() {
        members.insert("hv:size".to_owned(), size.into());
    }
    add(&mut members, "sl:checksum:sha512", image.sha512().map(|digest| digest.to_string()).as_deref());
    add(&mut members, "hv:format", image.format.as_deref());
    add(&mut members, "ad:mpuri", image.mpuri.as_deref());
    add(&mut members, "dc:date:expires", image.expires.map(|date| date.to_string()).as_deref());
    members.extend(image.extra.clone());
    Value::Object(members)
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn add(members: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        members.insert(key.to_owned(), text.into());
    }
}
