//! The plan for a cloud and for each of its images: the steps, and what is reported when they are done.

use std::fmt;

use jiff::Timestamp;

use super::{Record, Retirement, Step};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::error::Reason;

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
    /// Whether the record differs from the stored one.
    pub record_changed: bool,
    /// The number of its images that are out of circulation in the cloud.
    pub retired: usize,
    /// Images that claim to be this one but are not trusted.
    pub strangers: Vec<u32>,
}

/// The state of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The wanted version has the name.
    Published {
        /// Its id in the cloud.
        id: u32,
    },
    /// No image of it is in circulation, as requested.
    Retired,
    /// It is not published or retired yet, or cannot be for now.
    Waiting {
        /// The reason.
        reason: Reason,
        /// The message.
        message: String,
        /// When it may continue, if known.
        until: Option<Timestamp>,
    },
}

impl Verdict {
    pub(super) fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waiting { reason, message: message.into(), until: None }
    }
}

impl ImagePlan {
    /// Whether it takes an image out of circulation.
    pub fn retires(&self) -> bool {
        [&self.first, &self.afterwards, &self.overdue].iter().any(|retirements| !retirements.is_empty())
    }

    /// Does nothing for now, for this reason: the image and its record stay as they are.
    pub fn hold(&mut self, reason: Reason, message: String, until: Timestamp, record: Record) {
        for retirements in [&mut self.first, &mut self.afterwards, &mut self.overdue] {
            retirements.clear();
        }
        self.steps.clear();
        self.cleanup.clear();
        (self.registers, self.copying) = (None, false);
        (self.record, self.record_changed) = (record, false);
        self.verdict = Verdict::Waiting { reason, message, until: Some(until) };
    }

    /// Whether no call is needed.
    pub fn is_idle(&self) -> bool {
        let retirements = [&self.first, &self.afterwards, &self.overdue];
        retirements.iter().all(|retirements| retirements.is_empty()) && self.steps.is_empty() && self.cleanup.is_empty()
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

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { id } => write!(f, "Published as {id}"),
            Self::Retired => f.write_str("Retired"),
            Self::Waiting { reason, message, until } => {
                write!(f, "{}: {message}", reason.as_str())?;
                until.map_or(Ok(()), |until| write!(f, ", again at {until}"))
            }
        }
    }
}

/// The result of a pass for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The state of the image now.
    pub verdict: Verdict,
    /// Whether the cloud is copying it. This needs no further action.
    pub copying: bool,
    /// The record for the next pass. The [`Keeper`](super::Keeper) has already stored it.
    pub record: Record,
    /// The number of its images that are out of circulation.
    pub retired: usize,
    /// Images that claim to be this one but are not trusted.
    pub strangers: Vec<u32>,
    /// The steps that were done, as text.
    pub done: Vec<String>,
    /// Images that should be out of circulation but are not completely: the reason, and what is missing.
    pub unfinished: Vec<(Reason, String)>,
    /// Other messages: deletions that failed and are tried again, or an image that is not adopted.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Everything that is unfinished, as one: the first reason, and all messages.
    pub fn all_unfinished(&self) -> Option<(Reason, String)> {
        let (reason, _) = self.unfinished.first()?;
        let messages: Vec<_> = self.unfinished.iter().map(|(_, message)| message.as_str()).collect();
        Some((*reason, messages.join("; ")))
    }
}
