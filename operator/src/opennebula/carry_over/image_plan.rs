//! The plan for a cloud and for each of its images: the steps, and what is reported when they are done.

use std::fmt;

use jiff::Timestamp;

use super::{Record, Retirement, Step, Verdict};
use crate::cloud::{PlannedImage, Reason};
use crate::imagelist::{ImageId, Sha512Digest};

/// The plan for all requested images, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One plan for each request.
    pub images: Vec<ImagePlan>,
}

/// The plan for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlan {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The digest of the version that an `Allocate` in the steps registers.
    pub registers: Option<Sha512Digest>,
    /// Images that have to give up the name first. If one does not, the steps are not started.
    pub first: Vec<Retirement>,
    /// The steps, in order. The first failure ends them.
    pub steps: Vec<Step>,
    /// Images that the steps took the name from. They are retired only if all steps succeeded.
    pub afterwards: Vec<Retirement>,
    /// Images that have to be retired, even if the steps fail.
    pub overdue: Vec<Retirement>,
    /// Deletions. Each is independent of the others.
    pub cleanup: Vec<Step>,
    /// Images that stay in circulation for now, with the reason.
    pub unfinished: Vec<(Reason, String)>,
    /// Other messages.
    pub notes: Vec<String>,
    /// The state of the image when the steps are done.
    pub verdict: Verdict,
    /// Whether the cloud copies it then. This needs no further action.
    pub copying: bool,
    /// The record to store before the first step.
    pub record: Record,
    /// The stored record.
    pub before: Record,
    /// The number of its images that are out of circulation in the cloud.
    pub retired: usize,
    /// Images that claim to be this one but are not trusted.
    pub strangers: Vec<u32>,
}

impl ImagePlan {
    /// Whether the record differs from the stored one.
    pub fn record_changed(&self) -> bool {
        self.record != self.before
    }

    /// Whether no call is needed.
    pub fn is_idle(&self) -> bool {
        let retirements = [&self.first, &self.afterwards, &self.overdue];
        retirements.iter().all(|retirements| retirements.is_empty()) && self.steps.is_empty() && self.cleanup.is_empty()
    }
}

impl PlannedImage for ImagePlan {
    fn registers(&self) -> bool {
        self.registers.is_some()
    }

    fn retires(&self) -> bool {
        [&self.first, &self.afterwards, &self.overdue].iter().any(|retirements| !retirements.is_empty())
    }

    fn hold(&mut self, reason: Reason, message: String, until: Timestamp) {
        for retirements in [&mut self.first, &mut self.afterwards, &mut self.overdue] {
            retirements.clear();
        }
        self.steps.clear();
        self.cleanup.clear();
        (self.registers, self.copying) = (None, false);
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
        for step in each(&self.first).into_iter().chain(self.steps.iter().map(ToString::to_string)) {
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
