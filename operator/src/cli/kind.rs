//! Names of the kinds, as `kubectl` accepts them.

use clap::ValueEnum;
use kube::CustomResourceExt;

use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, Kind};

/// The kind that a command works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KindName {
    /// All kinds.
    All,
    /// Cloud targets.
    #[value(name = "cloudtargets", aliases = ["cloudtarget", "ctgt", "cloudtargets.vmcatcher.io"])]
    Targets,
    /// Endorsers.
    #[value(aliases = ["endorser", "end", "endorsers.vmcatcher.io"])]
    Endorsers,
    /// Image list subscriptions.
    #[value(
        name = "imagelistsubscriptions",
        aliases = ["ils", "imagelistsubscription", "subscriptions", "subscription", "imagelistsubscriptions.vmcatcher.io"]
    )]
    Subscriptions,
    /// Cached images.
    #[value(name = "cachedimages", aliases = ["cimg", "cachedimage", "images", "image", "cachedimages.vmcatcher.io"])]
    Images,
}

impl KindName {
    /// The name of the resource in the Kubernetes API.
    pub(super) fn resource(self) -> &'static str {
        match self {
            Self::All => "resource",
            Self::Targets => CloudTarget::crd_name(),
            Self::Endorsers => Endorser::crd_name(),
            Self::Subscriptions => ImageListSubscription::crd_name(),
            Self::Images => CachedImage::crd_name(),
        }
    }

    /// Whether the command works on this kind.
    pub(super) fn has(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Targets => kind == Kind::Target,
            Self::Endorsers => kind == Kind::Endorser,
            Self::Subscriptions => kind == Kind::Subscription,
            Self::Images => kind == Kind::Image,
        }
    }
}
