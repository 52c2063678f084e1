//! Whether the cloud is called, and what is asked of it. Pure.

use jiff::Timestamp;

use super::check::Checked;
use super::conversions::Start;
use super::observe::Observed;
use super::request::{Refusal, request};
use crate::api::Class;
use crate::opennebula::carry_over::Request;

/// What a pass makes of a target.
#[derive(Debug)]
pub(super) enum Plan {
    /// No call is made, for this reason.
    Nothing {
        /// One word.
        reason: &'static str,
        /// For a person.
        message: String,
        /// Whether it may pass by itself.
        class: Class,
    },
    /// The cloud is asked for these.
    Ask {
        /// For each image that wants something: what is asked, or why not.
        requests: Vec<Asked>,
    },
}

/// What is asked for one image.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The request, unless what is there stays.
    pub request: Option<Request>,
    /// What keeps its bytes from being handed over.
    pub refusal: Option<Refusal>,
    /// A conversion that is to be started.
    pub start: Option<Start>,
    /// When that is worth another look.
    pub again: Option<Timestamp>,
    /// What else there is to know of what was handed over.
    pub note: Option<String>,
}

/// Makes the plan.
pub(super) fn plan(checked: &Checked, observed: &Observed, now: Timestamp) -> Plan {
    if checked.suspend {
        let message = "suspended: not one call is made".to_owned();
        return Plan::Nothing { reason: "Suspended", message, class: Class::Waiting };
    }
    if let Some(other) = &observed.other {
        let message = format!("expected one target for each cloud, found that {other} has the same address");
        return Plan::Nothing { reason: "TargetConflict", message, class: Class::Stalled };
    }
    if let Err(error) = &observed.connection {
        return Plan::Nothing { reason: error.reason(), message: error.to_string(), class: error.class() };
    }
    let paths = observed.image_paths.as_ref();
    let requests: Vec<Asked> = observed.wanted.iter().map(|wanted| request(checked, wanted, paths, now)).collect();
    if checked.deleting.is_some() && requests.iter().all(|asked| asked.request.is_none()) {
        return Plan::Nothing { reason: "Deleting", message: String::new(), class: Class::Waiting };
    }
    Plan::Ask { requests }
}
