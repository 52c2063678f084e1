//! The versions of an image in the accepted lists, for `pin`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::bail;

use super::available::{ImageFilter, available};
use super::list_input;
use crate::api::{CachedImage, ImageListSubscription, ObjectKey};
use crate::cache::Volume;
use crate::imagelist::{ContentDigest, ImageId, ListVersion};
use crate::reconcile::subscription::format;
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;
use crate::trust::read_unverified;

/// A version of an image in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// `hv:version`.
    pub version: ListVersion,
    /// The digest of the image's bytes: SHA-512 if it is known.
    pub digest: ContentDigest,
}

/// The version to which an image is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wished {
    /// By `hv:version`.
    Version(ListVersion),
    /// By its content: the digest, or at least its first 8 digits, in lower case.
    Sha512(String),
    /// By its content, of which only the SHA-256 is known: `sha256:` and at least the first 8 digits, in lower case.
    Sha256(String),
}

impl FromStr for Wished {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hexadecimal = |digits: &str| digits.chars().all(|c| c.is_ascii_hexdigit());
        let digits = |digits: &str, most: usize| {
            let is_digest = (8..=most).contains(&digits.len()) && hexadecimal(digits);
            let refused = || format!("expected 8 to {most} hexadecimal digits after {}, found {digits:?}", &text[..7]);
            if is_digest { Ok(digits.to_ascii_lowercase()) } else { Err(refused()) }
        };
        if let Some(sha256) = text.strip_prefix("sha256:") {
            return Ok(Self::Sha256(format!("sha256:{}", digits(sha256, 64)?)));
        }
        match text.strip_prefix("sha512:") {
            Some(sha512) => digits(sha512, 128).map(Self::Sha512),
            None if text.len() == 128 && hexadecimal(text) => Ok(Self::Sha512(text.to_ascii_lowercase())),
            None => text.parse().map(Self::Version).map_err(|error| format!("{error}")),
        }
    }
}

impl fmt::Display for Wished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Sha512(digits) => write!(f, "sha512:{digits}"),
            Self::Sha256(digits) => f.write_str(digits),
        }
    }
}

/// The object key of an image and the name of its subscription, from a stored CachedImage, or else from the lists in
/// force. Fails if several match.
pub(super) fn image(
    directory: &Directory,
    volume: &Path,
    namespace: Option<&str>,
    identifier: &ImageId,
) -> anyhow::Result<Option<(ObjectKey, String)>> {
    let name = identifier.object_name();
    let kept = directory.all::<CachedImage>().into_iter().filter(|image| image.spec.identifier == identifier.as_str());
    let kept = kept.map(|image| (ObjectKey::of(&*image), image.spec.subscription_ref.name.clone()));
    let mut found: Vec<_> =
        kept.filter(|(key, _)| namespace.is_none_or(|namespace| namespace == key.namespace)).collect();
    if found.is_empty() {
        let wanted = ImageFilter { namespace, identifier: Some(identifier.as_str()) };
        let images = available(directory, volume, &wanted)?.0.into_iter();
        found = images.map(|one| (one.subscription.sibling(&name), one.subscription.name)).collect();
    }
    if found.len() > 1 {
        let each: Vec<String> =
            found.iter().map(|(key, list)| format!("{} of {}/{list}", key.name, key.namespace)).collect();
        bail!(
            "expected one image {identifier}, found {}; name the namespace (-n), or write the manifest",
            each.join(", ")
        );
    }
    Ok(found.pop())
}

/// The versions of an image in the accepted lists of a subscription, those of the newest list first. A list that cannot
/// be read is logged and skipped.
pub(super) fn known(
    directory: &Directory,
    volume: &Path,
    subscription: &ObjectKey,
    identifier: &ImageId,
) -> anyhow::Result<Vec<Version>> {
    let source = directory.get::<ImageListSubscription>(subscription).map(|object| format(&object.spec.source));
    let format = source.transpose()?.unwrap_or_default();
    let volume = Volume::read_only(volume)?;
    let mut found: Vec<Version> = Vec::new();
    for stored in volume.list_versions(&subscription.namespace.parse()?, &subscription.name.parse()?)? {
        let list = list_input::read(&stored.path).and_then(|list| Ok(read_unverified(&list.bytes, &format)?));
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                tracing::warn!("{error:#}");
                continue;
            }
        };
        for mut image in list.images.into_iter().filter(|image| image.identifier == *identifier) {
            volume.complete(&mut image)?;
            let version = Version { digest: image.content(), version: image.version };
            if !found.contains(&version) {
                found.push(version);
            }
        }
    }
    Ok(found)
}

/// The version that `wished` selects. If a version had several contents, the newest is returned. `None` if no list had
/// it, or if several digests begin with the given digits.
pub(super) fn resolve<'a>(wished: &Wished, versions: &'a [Version]) -> Option<&'a Version> {
    match wished {
        Wished::Version(version) => versions.iter().find(|one| one.version == *version),
        Wished::Sha512(digits) | Wished::Sha256(digits) => {
            let begins = |one: &&Version| one.digest.to_string().starts_with(digits);
            let first = versions.iter().find(begins)?;
            versions.iter().filter(begins).all(|one| one.digest == first.digest).then_some(first)
        }
    }
}
