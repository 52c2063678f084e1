//! `CachedImage` spec -> checked values. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::{ADOPT, CachedImage, FINALIZER, ObjectKey};
use crate::cache::ImageKey;
use crate::cache::retention::Retention;
use crate::cloud::CloudImageId;
use crate::imagelist::{ImageId, ListVersion, ListedImage, Sha512Digest};
use crate::reconcile::check::{SpecError, requested_at, retention, retire, targets};

/// An image whose spec was checked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    /// The key of the object.
    pub key: ObjectKey,
    /// The key of its versions on the volume.
    pub image: ImageKey,
    /// The key of the subscription whose list endorses it.
    pub subscription: ObjectKey,
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// The pin of a user.
    pub pin: Pin,
    /// Until when a user keeps it, even if it is no longer endorsed.
    pub keep_until: Option<Timestamp>,
    /// How long its replaced versions are kept; `None`: as the subscription says.
    pub retention: Option<Retention>,
    /// The targets that this object names; `None`: those of the subscription.
    pub targets: Option<Vec<String>>,
    /// An existing image in a cloud that a user assigned to this object: the target's name, and the id of the image
    /// there.
    pub adopt: Option<(String, CloudImageId)>,
    /// Suspended: no download and no new version.
    pub suspend: bool,
    /// Whether the image is retired when the object is deleted; `None`: as the subscription says.
    pub retire: Option<bool>,
    /// The request of a user for a pass now.
    pub requested_at: Option<String>,
    /// The object was created by a subscription.
    pub generated: bool,
    /// The object is being deleted.
    pub deleting: bool,
    /// The time of its deletion mark.
    pub deleting_since: Option<Timestamp>,
    /// The object has our finalizer.
    pub finalizer: bool,
}

/// A version, or content, or both, that a user pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pin {
    /// `hv:version`.
    pub version: Option<ListVersion>,
    /// The digest of the content.
    pub sha512: Option<Sha512Digest>,
}

impl Pin {
    /// Whether an image matches the pin.
    pub(super) fn takes(&self, image: &ListedImage) -> bool {
        self.version.as_ref().is_none_or(|version| *version == image.version)
            && self.sha512.is_none_or(|sha512| image.sha512() == Some(sha512))
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.version, &self.sha512) {
            (Some(version), Some(sha512)) => write!(f, "version {version} with sha512 {}…", sha512.short()),
            (Some(version), None) => write!(f, "version {version}"),
            (None, Some(sha512)) => write!(f, "sha512 {}…", sha512.short()),
            (None, None) => f.write_str("any version"),
        }
    }
}

/// Checks an image. The error names the invalid field.
pub(super) fn check(object: &CachedImage) -> Result<Checked, SpecError> {
    let key = ObjectKey::of(object);
    let spec = &object.spec;
    let retention = spec.retention.as_ref().map(|own| retention("retention", own)).transpose()?;
    let identifier: ImageId = spec.identifier.parse().map_err(|error| SpecError::invalid("identifier", &error))?;
    if key.name != identifier.object_name() {
        let message = format!("expected the object's name to be {}, found {}", identifier.object_name(), key.name);
        return Err(SpecError::invalid("identifier", &message));
    }
    let namespace = key.namespace.parse().map_err(|error| SpecError::invalid("metadata.namespace", &error))?;
    Ok(Checked {
        image: ImageKey { namespace, identifier },
        subscription: key.sibling(&spec.subscription_ref.name),
        generation: object.metadata.generation,
        pin: Pin {
            version: parse("version", spec.version.as_deref())?,
            sha512: parse("sha512", spec.sha512.as_deref())?,
        },
        keep_until: spec.keep_until.as_ref().map(|time| time.0),
        retention,
        targets: spec.target_refs.as_deref().map(targets).transpose()?,
        adopt: adopt(object)?,
        suspend: spec.suspend,
        retire: spec.deletion_policy.map(|policy| retire("deletionPolicy", policy)).transpose()?,
        requested_at: requested_at(object),
        generated: !object.owner_references().is_empty(),
        deleting: object.metadata.deletion_timestamp.is_some(),
        deleting_since: object.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
        key,
    })
}

/// Checks that a spec is valid.
pub(in crate::reconcile) fn can_work(object: &CachedImage) -> Result<(), SpecError> {
    check(object).map(|_| ())
}

/// Parses the annotation for adoption: `<target>/<id>`.
fn adopt(object: &CachedImage) -> Result<Option<(String, CloudImageId)>, SpecError> {
    let Some(text) = object.annotations().get(ADOPT) else { return Ok(None) };
    let parts = text.split_once('/').and_then(|(target, id)| Some((target.to_owned(), id.parse().ok()?)));
    let message = || format!("expected <target>/<id of the image there>, found {text:?}");
    let parts = parts.ok_or_else(|| SpecError::invalid(format!("metadata.annotations[{ADOPT}]"), &message()))?;
    Ok(Some(parts))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: Option<&str>,
) -> Result<Option<T>, SpecError> {
    text.map(str::parse).transpose().map_err(|error: T::Err| SpecError::invalid(field, &error))
}
