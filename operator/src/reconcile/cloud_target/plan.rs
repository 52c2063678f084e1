//! Plans what is asked of the cloud, whether it is read, and the steps there. Pure.

use std::fmt;

use jiff::Timestamp;

use super::check::Checked;
use super::credentials::Access;
use super::observe::Observed;
use super::pool::Pool;
use super::request::{Asked, request};
use crate::api::Class;
use crate::cloud::{self, About, AnyRequest, CloudError};

/// What is asked of the cloud.
#[derive(Debug)]
pub(super) enum Requests {
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

/// The plan of a pass over a target.
#[derive(Debug)]
pub(super) enum Plan {
    /// The cloud is not called: nothing is asked of it, or its last answer is recent enough.
    Rest,
    /// The steps at the cloud.
    Steps(About, Box<dyn cloud::Plan>),
    /// The cloud could not be read, so nothing is changed there.
    Unreachable(CloudError),
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
impl fmt::Display for Requests {
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

/// As the log shows it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rest => f.write_str("no call"),
            Self::Steps(_, steps) => steps.fmt(f),
            Self::Unreachable(error) => write!(f, "nothing: {error}"),
        }
    }
}

impl Requests {
    /// The requests, in the order of the images with a desired state; empty if no call is made.
    pub(super) fn asked(&self) -> &[Asked] {
        match self {
            Self::Nothing { .. } => &[],
            Self::Ask { requests, .. } => requests,
        }
    }

    /// The requests in the form that clouds take.
    pub(super) fn for_cloud(&self) -> Vec<AnyRequest> {
        self.asked().iter().filter_map(|asked| asked.request.clone()).collect()
    }
}

/// Whether the cloud is called although there is an answer to an earlier call: something else is asked, a user requests
/// it, or its time has come.
pub(super) fn is_due(checked: &Checked, observed: &Observed, requests: &Requests, now: Timestamp) -> bool {
    let is_asked = match requests {
        Requests::Nothing { .. } => false,
        Requests::Ask { .. } => true,
    };
    let Some(last) = &observed.last else { return is_asked };
    // A user who requests a try gets a new answer, not the last one.
    let person = observed.wanted.iter().any(|wanted| wanted.desired.asked);
    let other = person || last.requested_at != checked.requested_at || !is_same(&last.asked, requests.asked());
    is_asked && (other || last.next <= now)
}

/// Whether the requests are the same as before. The records of images are not compared, because passes change them.
fn is_same(before: &[Option<AnyRequest>], now: &[Asked]) -> bool {
    let question = |request: &Option<AnyRequest>| {
        request.as_ref().map(|request| (request.identifier.clone(), request.wanted.clone(), request.adopt))
    };
    before.len() == now.len() && before.iter().zip(now).all(|(before, now)| question(before) == question(&now.request))
}

/// Makes the plan.
pub(super) fn plan(pool: Pool, now: Timestamp) -> Plan {
    match pool {
        Pool::Unread => Plan::Rest,
        Pool::Failed(error) => Plan::Unreachable(error),
        Pool::Read(snapshot) => Plan::Steps(snapshot.about(), snapshot.plan(now)),
    }
}

/// Decides what is asked of the cloud.
pub(super) fn requests(checked: &Checked, observed: &Observed, now: Timestamp) -> Requests {
    if checked.suspend {
        let message = "suspended: no call is made".to_owned();
        return Requests::Nothing { reason: "Suspended", message, class: Class::Waiting };
    }
    if let Some(other) = &observed.other {
        let message = format!("expected one target for each cloud, found that {other} leads to the same");
        return Requests::Nothing { reason: "TargetConflict", message, class: Class::Stalled };
    }
    let lost = match &observed.access {
        Access::Given(_) => None,
        Access::Before(_, error) => Some(Lost { reason: error.reason(), message: error.to_string() }),
        Access::Refused(error) => {
            return Requests::Nothing { reason: error.reason(), message: error.to_string(), class: error.class() };
        }
    };
    let paths = observed.image_paths.as_ref();
    let mut requests: Vec<Asked> = observed.wanted.iter().map(|wanted| request(checked, wanted, paths, now)).collect();
    if let Some(Lost { reason, message }) = &lost {
        requests.iter_mut().filter(|asked| !asked.is_withdrawal()).for_each(|asked| *asked = Asked::default());
        if !requests.iter().any(Asked::is_withdrawal) {
            return Requests::Nothing { reason, message: message.clone(), class: Class::Waiting };
        }
    }
    if checked.deleting.is_some() && requests.iter().all(|asked| asked.request.is_none()) {
        return Requests::Nothing { reason: "Deleting", message: String::new(), class: Class::Waiting };
    }
    Requests::Ask { requests, lost }
}
