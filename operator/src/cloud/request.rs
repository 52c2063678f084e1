//! The requests of the reconciler: the images that a cloud should have.

use std::fmt;

use serde::de::DeserializeOwned;

use super::{CloudImageId, Record};
use crate::convert::Form;
use crate::imagelist::{ImageId, Sha512Digest};

/// One image of one target. `I` is the id of an image in the cloud, `M` the metadata that the site controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<I, M> {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The version to publish; `None` means to take all images of it out of circulation.
    pub wanted: Option<Wanted>,
    /// The record of earlier passes.
    pub record: Record<I, M>,
    /// An image id that a user named as this image. It is used only if the settings of the target allow it.
    pub adopt: Option<I>,
}

/// A version of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The digest in the list, which identifies the version.
    pub sha512: Sha512Digest,
    /// The properties in the list, for the attributes.
    pub event: EventAttributes,
    /// Where the cloud reads the bytes. `None` while they are not ready; then nothing can be registered.
    pub source: Option<Source>,
}

/// The location of verified bytes for the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where they are read: a path on the cloud's front-end, an address, or the path here of a file that is sent.
    pub location: String,
    /// The format of the bytes at `location`.
    pub format: Form,
    /// SHA-1 of the bytes at `location`, 40 lower-case hexadecimal digits, for clouds that check it while they copy.
    pub sha1: Option<String>,
    /// The digest of the bytes at `location`, for clouds that compute it themselves.
    pub sha512: Sha512Digest,
    /// The number of bytes at `location`.
    pub size: u64,
}

/// The values of `VMCATCHER_EVENT_*`, with the names of the original handler (in lower case in OpenStack). `None` and empty values are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventAttributes {
    /// `DC_TITLE`.
    pub title: Option<String>,
    /// `DC_DESCRIPTION`, and `DESCRIPTION` (which falls back to the title).
    pub description: Option<String>,
    /// `HV_HYPERVISOR`.
    pub hypervisor: Option<String>,
    /// `HV_SIZE`, in bytes, as in the list.
    pub size: Option<String>,
    /// `HV_URI`.
    pub uri: Option<String>,
    /// `HV_FORMAT`, as in the list.
    pub format: Option<String>,
    /// `HV_VERSION`.
    pub version: Option<String>,
    /// `SL_ARCH`.
    pub arch: Option<String>,
    /// `SL_COMMENTS`.
    pub comments: Option<String>,
    /// `SL_OS`.
    pub os: Option<String>,
    /// `SL_OSVERSION`.
    pub os_version: Option<String>,
    /// `IL_DC_IDENTIFIER`: the list's identifier.
    pub list_identifier: Option<String>,
    /// `FILENAME`: base name of the file.
    pub filename: Option<String>,
    /// `AD_MPURI`.
    pub mpuri: Option<String>,
    /// `VO` of the list; also chooses the group of a first registration.
    pub vo: Option<String>,
}

/// The operator's claim on an image, written as `VMCATCHER_OPERATOR=<instance>/<namespace>` (in lower case in OpenStack).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The name of this installation in its configuration.
    pub instance: String,
    /// The namespace of the target.
    pub namespace: String,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.instance, self.namespace)
    }
}

/// A request in the form that all clouds take.
pub type AnyRequest = Request<CloudImageId, serde_json::Value>;

/// The request in the form of one cloud. A record of another kind of cloud counts as none, as does an adoption: a target
/// whose type was changed is another target.
pub fn typed_or_new<I, M>(request: &AnyRequest) -> Request<I, M>
where
    I: DeserializeOwned + TryFrom<CloudImageId>,
    M: DeserializeOwned,
{
    Request {
        identifier: request.identifier.clone(),
        wanted: request.wanted.clone(),
        record: request.record.typed().unwrap_or_default(),
        adopt: request.adopt.and_then(|id| I::try_from(id).ok()),
    }
}
