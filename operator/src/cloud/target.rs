//! The trait that a cloud implements: it is read once a pass, a plan is made from what was read, and the plan is
//! applied.
//!
//! ```text
//! Connection --connect--> Cloud --read--> Snapshot --plan (pure)--> Plan --apply--> outcomes
//! ```

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::outcome::AnyOutcome;
use super::request::AnyRequest;
use super::{Keeper, LeadershipGuard, Reason};
use crate::api::Class;
use crate::metrics::Metrics;

/// Everything that a session with a cloud is made from: its address, the content of Secrets, and the settings of the
/// target. `Debug` shows no secret.
pub trait Connection: fmt::Debug + Send + Sync {
    /// Passes everything that it is made from, secrets included, to `add`, so that a change of any of it is seen.
    fn digest(&self, add: &mut dyn FnMut(&[u8]));

    /// Makes the session. No call is made yet. Changes are made only while the permit is valid; calls are counted.
    fn connect(&self, permit: LeadershipGuard, metrics: Metrics) -> Result<Arc<dyn Cloud>, CloudError>;
}

/// A session with a cloud.
pub trait Cloud: fmt::Debug + Send + Sync {
    /// Reads what a plan for these requests is made from. Changes nothing. The number of calls does not depend on the
    /// number of images that are as they should be.
    ///
    /// `Err` means that the cloud could not be read.
    fn read<'a>(
        &'a self,
        requests: &'a [AnyRequest],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Box<dyn Snapshot>, CloudError>>;
}

/// What was read of a cloud.
pub trait Snapshot: fmt::Debug + Send + Sync {
    /// The cloud itself.
    fn about(&self) -> About;

    /// Makes the plan for the requests that it was read for. Pure; the same input gives the same plan.
    fn plan(&self, now: Timestamp) -> Box<dyn Plan>;
}

/// The server and the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The version of the server, for the status.
    pub version: String,
    /// The server and the account as text: `OpenNebula 7.4.0 as oneadmin`.
    pub text: String,
}

/// The steps for all requested images. It is shown as the log shows it.
pub trait Plan: fmt::Display + fmt::Debug + Send {
    /// The plans of the images, in the order of the requests.
    fn images(&mut self) -> Vec<&mut dyn PlannedImage>;

    /// Makes the changes. Returns one outcome for each request, in order.
    fn apply(self: Box<Self>, keeper: &dyn Keeper, now: Timestamp) -> BoxFuture<'_, Vec<AnyOutcome>>;
}

/// The plan for one image.
pub trait PlannedImage: Send + Sync {
    /// Whether it begins to publish a version.
    fn registers(&self) -> bool;

    /// Whether it takes an image out of circulation.
    fn retires(&self) -> bool;

    /// Does nothing for now, for this reason: the image and its record stay as they are.
    fn hold(&mut self, reason: Reason, message: String, until: Timestamp);
}

/// Why a cloud could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CloudError {
    /// The reason in conditions: one word.
    pub reason: &'static str,
    /// Whether it may end by itself.
    pub class: Class,
    /// Whether the cloud refused the credentials, or what they may do.
    pub is_refused: bool,
    /// What was expected and what was found.
    pub message: String,
}
