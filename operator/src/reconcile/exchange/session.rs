//! What is held of a cloud between two passes over its target.

use jiff::Timestamp;
use url::Url;

use crate::opennebula::OneError;
use crate::opennebula::carry_over::{Cloud, Outcome, Publisher, Request};
use crate::opennebula::transport::Connection;
use crate::reconcile::tls::CheckedTls;

/// What is held of a target between passes.
#[derive(Debug, Default)]
pub struct Session {
    /// How the cloud is reached.
    pub(in crate::reconcile) credentials: Credentials,
    pub(in crate::reconcile) publisher: Option<(Fingerprint, Publisher)>,
    /// What was asked last, what became of it, and when the cloud is asked though nothing changed.
    pub(in crate::reconcile) last: Option<Last>,
    /// Since when an import runs.
    pub(in crate::reconcile) importing: Option<Timestamp>,
}

/// What was asked last, and what came of it.
#[derive(Debug)]
pub(in crate::reconcile) struct Last {
    pub asked: Vec<Option<Request>>,
    pub requested_at: Option<String>,
    pub answer: Answer,
    pub next: Timestamp,
}

/// A digest over everything a session is made of, the secret included.
pub(in crate::reconcile) type Fingerprint = [u8; 32];

/// What the cloud answered.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Answer {
    /// What the target itself is.
    pub cloud: Result<Cloud, OneError>,
    /// What became of each request, in the order of the images that want something.
    pub outcomes: Vec<Option<Outcome>>,
    /// When it answered.
    pub at: Timestamp,
}

/// What was last read of a target's Secrets.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Credentials(pub(in crate::reconcile) Option<Known>);

/// For which address, out of which Secrets, and what.
#[derive(Debug)]
pub(in crate::reconcile) struct Known {
    pub of: (Url, String, CheckedTls),
    pub connection: Connection,
}
