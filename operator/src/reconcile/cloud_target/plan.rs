//! Plans whether the cloud is called, and with which requests. Pure.

use std::fmt;

use jiff::Timestamp;

use super::check::Checked;
use super::credentials::Access;
use super::observe::Observed;
use super::request::{Asked, request};
use crate::api::Class;

/// The plan of a pass over a target.
#[derive(Debug)]
pub(super) enum Plan {
    /// No call is made, for this reason.
    Nothing {
        /// The reason: one word.
        reason: &'static str,
        /// The message.
        message: String,
        /// Whether it may end by itself.
        class: Class,
    },
    /// The cloud is called with these requests.
    Ask {
        /// For each image with a desired state: its request, or why there is none.
        requests: Vec<Asked>,
        /// Its Secrets can no longer be read: images are taken out of circulation, and nothing else is done.
        lost: Option<Lost>,
    },
}

/// Why a cloud can be reached only with the previous content of its Secrets.
#[derive(Debug)]
pub(super) struct Lost {
    /// The reason: one word.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
}

/// As the log shows it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { reason, message, class: _ } => write!(f, "no call: {reason}: {message}"),
            Self::Ask { requests, lost } => {
                let requests: Vec<String> = requests.iter().map(ToString::to_string).collect();
                let lost = lost.as_ref().map(|lost| format!(" ({}: {})", lost.reason, lost.message));
                write!(f, "ask the cloud: {}{}", requests.join(", "), lost.unwrap_or_default())
            }
        }
    }
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
    let lost = match &observed.access {
        Access::Given(_) => None,
        Access::Before(_, error) => Some(Lost { reason: error.reason(), message: error.to_string() }),
        Access::Refused(error) => {
            return Plan::Nothing { reason: error.reason(), message: error.to_string(), class: error.class() };
        }
    };
    let paths = observed.image_paths.as_ref();
    let mut requests: Vec<Asked> = observed.wanted.iter().map(|wanted| request(checked, wanted, paths, now)).collect();
    if let Some(Lost { reason, message }) = &lost {
        requests.iter_mut().filter(|asked| !asked.is_withdrawal()).for_each(|asked| *asked = Asked::default());
        if !requests.iter().any(Asked::is_withdrawal) {
            return Plan::Nothing { reason, message: message.clone(), class: Class::Waiting };
        }
    }
    if checked.deleting.is_some() && requests.iter().all(|asked| asked.request.is_none()) {
        return Plan::Nothing { reason: "Deleting", message: String::new(), class: Class::Waiting };
    }
    Plan::Ask { requests, lost }
}
