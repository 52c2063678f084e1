//! The custom resources: types, conditions, columns. No logic but small accessors.
//!
//! Kubernetes API conventions: `spec` is what people say, `status` what was seen, conditions are `metav1.Condition`.
//! A field stands here only when the program honours it. Fields are only ever added, each optional or with a default.

mod cached_image;
mod cloud_target;
mod common;
mod crds;
mod endorser;
mod key;
mod opennebula;
mod openstack;
mod resource;
mod signed_files;
mod subscription;
mod subscription_status;

pub use cached_image::{
    Artifact, CachedImage, CachedImageSpec, CachedImageStatus, Progress, TargetStatus, VersionStatus, WantedImage,
};
pub use cloud_target::{CloudAccess, CloudTarget, CloudTargetSpec, CloudTargetStatus, CloudType, ImageFormat};
pub use common::{
    ADOPT, ALLOW_PLAIN_HTTP, ALLOWED_HOSTS, Class, CrlPolicy, DeletionPolicy, FINALIZER, FLUX_REQUESTED_AT, GROUP,
    HasConditions, MANIFEST, ObjectReference, REFRESH_REQUESTED_AT, REQUESTED_AT, SUBSCRIPTION_LABEL, Trust, VERSION,
    time,
};
pub use crds::crds;
pub use endorser::{
    CosignCredential, Credential, CredentialStatus, Endorser, EndorserSpec, EndorserStatus, FilesSource,
    OpenPgpCredential, Purpose, X509Credential,
};
pub use key::{Kind, ObjectKey};
pub use opennebula::{
    Adopt, HandOver, HandOverPath, HandOverType, HandOverUrl, Initial, LONGEST_ATTRIBUTE, OpenNebula, Retired, Update,
    VoGroup,
};
pub use openstack::{
    Interface, LONGEST_PROPERTY, OpenStack, OpenStackAdopt, OpenStackHandOver, OpenStackHandOverType, OpenStackInitial,
    OpenStackName, OpenStackRetired, OpenStackVisibility, VoProject,
};
pub use resource::Resource;
pub(crate) use resource::for_each_kind;
pub use signed_files::{ChecksumImage, ChecksumsSource, SimpleStreamsSource};
pub use subscription::{
    Exclude, ImageListSubscription, ImageListSubscriptionSpec, ImageMatch, ImageSelection, Include, ListSource,
    OciSource, RemovalLimit, Retention, Tls, TlsTrust, Verify, VerifyMode,
};
pub use subscription_status::{
    CandidateStatus, ImageCounts, ImageListSubscriptionStatus, ImageNote, ListStatus, SignerStatus,
};
