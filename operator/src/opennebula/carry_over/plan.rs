//! The plan: the calls that bring a cloud to the wanted state.

use std::fmt;

use jiff::Timestamp;

use super::image::plan_image;
use super::image_plan::ImagePlan;
use super::recognise::Index;
use super::{Cloud, Request, Settings, Snapshot};

/// The plan for all requested images, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One plan for each request.
    pub images: Vec<ImagePlan>,
}

/// Makes the plan for all images from one snapshot of the pool. Pure; the same input gives the same plan.
pub fn plan(snapshot: &Snapshot, requests: &[Request], settings: &Settings, cloud: &Cloud, now: Timestamp) -> Plan {
    let index = Index::new(snapshot, requests);
    Plan { images: requests.iter().map(|request| plan_image(&index, request, settings, cloud, now)).collect() }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.iter().try_for_each(|image| image.fmt(f))
    }
}
