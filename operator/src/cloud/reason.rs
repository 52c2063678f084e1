//! The reasons of conditions that come from a cloud.

use serde::{Deserialize, Serialize};

/// Reasons of a `Published` condition that come from a cloud or from the plan for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The wanted version exists under its name.
    Published,
    /// Taken out of circulation, as requested.
    Retired,
    /// Being registered, or about to get the name.
    Importing,
    /// The cloud could not import the image; tried again with growing pauses.
    ImportFailed,
    /// The cloud does not accept the format of the image.
    FormatNotAccepted,
    /// The name belongs to an image of somebody else, or is not valid in the cloud.
    NameConflict,
    /// A user locked the current image.
    ImageLocked,
    /// The current image is persistent and contains users' data.
    ImagePersistent,
    /// A quota of the operator's project or user is used up.
    QuotaExceeded,
    /// The operator's user lacks the necessary rights.
    NotAuthorized,
    /// An image that was named for adoption may not be adopted.
    AdoptionRefused,
    /// The retirement of an image is not complete.
    RetirementIncomplete,
    /// A handler refused the step.
    HookVetoed,
    /// The cloud does not respond, or does not respond as expected of it.
    CloudUnreachable,
}

impl Reason {
    /// The text in conditions, events and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "Published",
            Self::Retired => "Retired",
            Self::Importing => "Importing",
            Self::ImportFailed => "ImportFailed",
            Self::FormatNotAccepted => "FormatNotAccepted",
            Self::NameConflict => "NameConflict",
            Self::ImageLocked => "ImageLocked",
            Self::ImagePersistent => "ImagePersistent",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::NotAuthorized => "NotAuthorized",
            Self::AdoptionRefused => "AdoptionRefused",
            Self::RetirementIncomplete => "RetirementIncomplete",
            Self::HookVetoed => "HookVetoed",
            Self::CloudUnreachable => "CloudUnreachable",
        }
    }
}
