//! The plan: which calls bring a cloud to what is wanted.

use std::fmt;

use jiff::Timestamp;

use super::image::plan_image;
use super::recognise::Index;
use super::{Cloud, Record, Request, Retirement, Settings, Snapshot, Step};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::error::Reason;

/// What to do about every image that was asked for, in the order they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each request.
    pub images: Vec<ImagePlan>,
}

/// What to do about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlan {
    /// Which.
    pub identifier: ImageId,
    /// The version that an `Allocate` among the steps registers.
    pub registers: Option<Sha512Digest>,
    /// Images that give up the name before the steps: without it these are not begun.
    pub first: Vec<Retirement>,
    /// In this order; the first that fails ends them.
    pub steps: Vec<Step>,
    /// Images that the steps took the name from: put away only when all steps succeeded.
    pub afterwards: Vec<Retirement>,
    /// Images that are to go out of circulation whatever becomes of the steps.
    pub overdue: Vec<Retirement>,
    /// Deletions, each whatever becomes of the others.
    pub chores: Vec<Step>,
    /// Images that stay in circulation for now, and why.
    pub unfinished: Vec<(Reason, String)>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// What holds once the steps are done.
    pub verdict: Verdict,
    /// Whether the cloud copies it then: that ends by itself.
    pub copying: bool,
    /// What to keep, before the first step.
    pub record: Record,
    /// Whether that differs from what was kept.
    pub record_changed: bool,
    /// How many images of it are out of circulation in the cloud.
    pub retired: usize,
    /// Images that say they are this one and are not believed.
    pub strangers: Vec<u32>,
}

/// What holds of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The wanted version has the name.
    Published {
        /// Its id in the cloud.
        id: u32,
    },
    /// Nothing of it is in circulation, as asked.
    Retired,
    /// Not yet, or not as things are.
    Waiting {
        /// Why, in one word.
        reason: Reason,
        /// Why, for a person.
        message: String,
        /// When it may go on, where that is known.
        until: Option<Timestamp>,
    },
}

impl Verdict {
    pub(super) fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waiting { reason, message: message.into(), until: None }
    }
}

/// Plans every image by one snapshot of the pool. Pure; the same input gives the same plan.
pub fn plan(snapshot: &Snapshot, requests: &[Request], settings: &Settings, cloud: &Cloud, now: Timestamp) -> Plan {
    let index = Index::new(snapshot, requests);
    Plan { images: requests.iter().map(|request| plan_image(&index, request, settings, cloud, now)).collect() }
}

impl ImagePlan {
    /// Whether nothing is to be called.
    pub fn is_idle(&self) -> bool {
        let retirements = [&self.first, &self.afterwards, &self.overdue];
        retirements.iter().all(|retirements| retirements.is_empty()) && self.steps.is_empty() && self.chores.is_empty()
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
        for step in each(&self.overdue).into_iter().chain(self.chores.iter().map(ToString::to_string)) {
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
