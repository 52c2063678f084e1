//! The state of a target that is kept in memory between two passes.

use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use crate::cloud::{About, AnyOutcome, AnyRequest, Cloud, CloudError, Connection};
use crate::reconcile::tls::CheckedTls;

/// The state of a target that is kept between passes.
#[derive(Debug, Default)]
pub struct Session {
    /// The last content of the target's Secrets.
    pub(in crate::reconcile) credentials: Credentials,
    pub(in crate::reconcile) cloud: Option<(Fingerprint, Arc<dyn Cloud>)>,
    /// The last requests, the answer, and when the cloud is called again if nothing changes.
    pub(in crate::reconcile) last: Option<Arc<Last>>,
    /// When the running import began.
    pub(in crate::reconcile) importing: Option<Timestamp>,
}

/// The last requests and the answer.
#[derive(Debug)]
pub(in crate::reconcile) struct Last {
    pub asked: Vec<Option<AnyRequest>>,
    pub requested_at: Option<String>,
    pub answer: Answer,
    pub next: Timestamp,
}

/// A digest of everything that a session is made from, including the secret.
pub(in crate::reconcile) type Fingerprint = [u8; 32];

/// The answer of the cloud.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Answer {
    /// The state of the cloud itself.
    pub cloud: Result<About, CloudError>,
    /// The result of each request, in the order of the images with a desired state.
    pub outcomes: Vec<Option<AnyOutcome>>,
    /// The time of the answer.
    pub at: Timestamp,
}

/// The last content of a target's Secrets.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Credentials(pub(in crate::reconcile) Option<Known>);

/// The address, the Secret and the TLS settings that the connection was made from, and the connection.
#[derive(Debug)]
pub(in crate::reconcile) struct Known {
    pub of: (Url, String, CheckedTls),
    pub connection: Arc<dyn Connection>,
}
