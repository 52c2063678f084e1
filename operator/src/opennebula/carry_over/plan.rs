//! The plan: which calls bring a cloud to what is wanted.

use std::fmt;

use jiff::Timestamp;

use super::image::plan_image;
use super::recognise::Index;
use super::{Cloud, Record, Request, Settings, Step};
use crate::imagelist::{ImageId, Sha512Digest};
use crate::opennebula::document::Image;
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
    /// In this order; the first that fails ends them.
    pub steps: Vec<Step>,
    /// Sequences that put away what the steps took out of circulation: each runs only when all steps succeeded.
    pub afterwards: Vec<Vec<Step>>,
    /// Sequences about images that were out of circulation before: each runs whatever becomes of the others.
    pub chores: Vec<Vec<Step>>,
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
pub fn plan(pool: &[Image], requests: &[Request], settings: &Settings, cloud: &Cloud, now: Timestamp) -> Plan {
    let index = Index::new(pool, requests);
    Plan { images: requests.iter().map(|request| plan_image(&index, request, settings, cloud, now)).collect() }
}

impl ImagePlan {
    /// Whether nothing is to be called.
    pub fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.afterwards.is_empty() && self.chores.is_empty()
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
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for step in self.afterwards.iter().flatten() {
            writeln!(f, "  then {step}")?;
        }
        for step in self.chores.iter().flatten() {
            writeln!(f, "  also {step}")?;
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
