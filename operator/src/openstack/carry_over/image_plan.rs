//! The plan for a cloud and for each of its images: the steps, and what is reported when they are done. Pure.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Record, Step, Verdict};
use crate::cloud::{PlannedImage, Reason};
use crate::imagelist::{ImageId, Sha512Digest};

/// The plan for all requested images, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One plan for each request.
    pub images: Vec<ImagePlan>,
}

/// The retirement of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The image.
    pub id: Uuid,
    /// The steps. A failed change ends them, because it is what remembers the site's metadata.
    pub steps: Vec<Step>,
}

/// What has to be read before all of a plan can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Images whose members are needed.
    pub members: BTreeSet<Uuid>,
    /// Images whose tasks are needed.
    pub tasks: BTreeSet<Uuid>,
}

/// The plan for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlan {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The digest of the version that a `Create` in the steps registers.
    pub registers: Option<Sha512Digest>,
    /// The steps, in order. The first failure ends them.
    pub steps: Vec<Step>,
    /// Images that the steps replace. They are retired only if all steps succeeded.
    pub afterwards: Vec<Retirement>,
    /// Images that have to be retired, even if the steps fail.
    pub overdue: Vec<Retirement>,
    /// Deletions. Each is independent of the others.
    pub cleanup: Vec<Step>,
    /// A failed upload that the record now has, or that needs no more attention.
    pub seen_upload: Option<Uuid>,
    /// What has to be read before all of this plan can be made.
    pub needs: Needs,
    /// Images that stay in circulation for now, with the reason.
    pub unfinished: Vec<(Reason, String)>,
    /// Other messages.
    pub notes: Vec<String>,
    /// The state of the image when the steps are done.
    pub verdict: Verdict,
    /// Whether the bytes are on their way then. This needs no further action.
    pub copying: bool,
    /// The record to store before the first step.
    pub record: Record,
    /// The stored record.
    pub before: Record,
    /// The number of its images that are out of circulation.
    pub retired: usize,
    /// Images that claim to be this one but are not trusted.
    pub strangers: Vec<Uuid>,
}

impl ImagePlan {
    /// Whether the record differs from the stored one.
    pub fn record_changed(&self) -> bool {
        self.record != self.before
    }

    /// Whether no call is needed.
    pub fn is_idle(&self) -> bool {
        !self.retires() && self.steps.is_empty() && self.cleanup.is_empty()
    }
}

impl PlannedImage for ImagePlan {
    fn registers(&self) -> bool {
        self.registers.is_some()
    }

    fn retires(&self) -> bool {
        !self.afterwards.is_empty() || !self.overdue.is_empty()
    }

    fn hold(&mut self, reason: Reason, message: String, until: Timestamp) {
        for retirements in [&mut self.afterwards, &mut self.overdue] {
            retirements.clear();
        }
        self.steps.clear();
        self.cleanup.clear();
        (self.registers, self.copying, self.seen_upload) = (None, false, None);
        self.record = self.before.clone();
        self.verdict = Verdict::Waiting { reason, message, until: Some(until) };
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.iter().try_for_each(|image| image.fmt(f))
    }
}

impl fmt::Display for ImagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.identifier, self.verdict)?;
        let each = |retirements: &'_ [Retirement]| {
            retirements.iter().flat_map(|retirement| &retirement.steps).map(ToString::to_string).collect::<Vec<_>>()
        };
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for step in each(&self.afterwards) {
            writeln!(f, "  then {step}")?;
        }
        for step in each(&self.overdue).into_iter().chain(self.cleanup.iter().map(ToString::to_string)) {
            writeln!(f, "  also {step}")?;
        }
        for (reason, message) in &self.unfinished {
            writeln!(f, "  unfinished: {}: {message}", reason.as_str())?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        for id in &self.strangers {
            writeln!(f, "  not ours: {id}")?;
        }
        Ok(())
    }
}
