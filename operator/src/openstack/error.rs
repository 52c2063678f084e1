//! Errors of calls to Keystone and Glance.

use std::time::Duration;

use crate::api::Class;
use crate::cloud::{CloudError, Reason};

/// A call that Keystone or Glance refused, with its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {endpoint} answered {status}: {text}")]
pub struct Refusal {
    /// The call.
    pub call: &'static str,
    /// The address of the server, without user information.
    pub endpoint: String,
    /// The HTTP status.
    pub status: u16,
    /// The message of the server: one line, shortened and printable.
    pub text: String,
}

/// The error of a call. No variant contains a secret or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenStackError {
    /// The configuration of the connection, or of what is to be sent, is invalid.
    #[error("cannot use {endpoint} as configured: {message}")]
    Configuration {
        /// The endpoint, without user information.
        endpoint: String,
        /// What was expected and found.
        message: String,
    },
    /// There is no connection, or it was interrupted. In the latter case the call may have been executed.
    #[error("{call}: no answer from {endpoint}: {message}")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// The network error.
        message: String,
    },
    /// No response in time. The call may have been executed.
    #[error("{call}: expected an answer from {endpoint} within {} ms, found none", after.as_millis())]
    TimedOut {
        /// The call.
        call: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// The timeout.
        after: Duration,
    },
    /// The call was not sent, or an upload was stopped, because another instance may be the leader now, and only the
    /// leader may change a cloud.
    #[error("{call}: stopped, because this program cannot be sure that it still leads")]
    NotLeading {
        /// The call.
        call: &'static str,
    },
    /// An unexpected status, or a body that is not as the API reference says.
    #[error("{call}: expected {expected} from {endpoint}, found {found}")]
    NotOpenStack {
        /// The call.
        call: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// What was expected.
        expected: &'static str,
        /// The response.
        found: String,
    },
    /// The response is larger than the limit.
    #[error("{call}: expected an answer of at most {limit} bytes from {endpoint}, found more")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Keystone does not accept the credentials (400, 401, 403, or 404 for an unknown application credential). A project
    /// that does not exist, and one on which the user has no role, is a 401 too.
    #[error("expected Keystone to accept the credentials, with a role on the project: {0}")]
    LoginRefused(Refusal),
    /// The token has no project.
    #[error("POST /v3/auth/tokens: expected a token of a project from {endpoint}, found one without")]
    NoProject {
        /// The endpoint, without user information.
        endpoint: String,
    },
    /// The catalogue has no usable address of Glance.
    #[error("expected one image service with a {interface} address in the catalogue of {endpoint}, found {found}")]
    NoImageService {
        /// Keystone's address, without user information.
        endpoint: String,
        /// The wanted interface, and the wanted region.
        interface: String,
        /// What the catalogue has.
        found: String,
    },
    /// Glance does not accept the token (401), although it is new.
    #[error("expected Glance to accept a new token: {0}")]
    Unauthorized(Refusal),
    /// The policy of the cloud, the state of the image, or its protection does not allow it (403).
    #[error("the cloud does not allow it: {0}")]
    Forbidden(Refusal),
    /// No such object, or none that the project may see (404).
    #[error("not found: {0}")]
    NotFound(Refusal),
    /// An id that is or was in use, a state that does not allow it now, or a property that does not exist (409).
    #[error("not in the present state: {0}")]
    Conflict(Refusal),
    /// The image's data is used, by volumes for example (409).
    #[error("the image is in use: {0}")]
    InUse(Refusal),
    /// A quota of the project, or a limit of the image, is exceeded (413).
    #[error("a quota or limit is used up: {0}")]
    QuotaExceeded(Refusal),
    /// Glance does not accept the format of the data (415).
    #[error("the cloud does not accept the format: {0}")]
    FormatRefused(Refusal),
    /// Glance does not accept the request (400).
    #[error("the cloud does not accept the request: {0}")]
    Invalid(Refusal),
    /// The image was deleted meanwhile (410).
    #[error("deleted meanwhile: {0}")]
    Gone(Refusal),
    /// Another status from 400 to 499.
    #[error("refused: {0}")]
    Rejected(Refusal),
    /// A fault of the server (500 to 599). The call may have been executed.
    #[error("a fault of the server: {0}")]
    Failed(Refusal),
    /// The connection broke during an upload. Glance sets the image back to `queued`, and an upload starts anew.
    #[error("{call}: the connection to {endpoint} broke after {sent} of {size} bytes: {message}")]
    UploadBroken {
        /// The call.
        call: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// How many bytes were handed to the connection.
        sent: u64,
        /// The size of the image in bytes.
        size: u64,
        /// The network error.
        message: String,
    },
    /// The file to upload is not as expected. The upload was not sent, or stopped before its last byte.
    #[error("{call}: expected a file of {size} bytes, found {found}")]
    File {
        /// The call.
        call: &'static str,
        /// The expected size in bytes.
        size: u64,
        /// What was found.
        found: String,
    },
}

impl OpenStackError {
    /// Classifies a refusal by Glance. The status decides; for 409 the words do too, because Glance uses it for an image
    /// in use as well ("Image … could not be deleted because it is in use: …").
    pub fn from_refusal(refusal: Refusal) -> Self {
        match refusal.status {
            400 => Self::Invalid(refusal),
            401 => Self::Unauthorized(refusal),
            403 => Self::Forbidden(refusal),
            404 => Self::NotFound(refusal),
            409 if is_in_use(&refusal.text) => Self::InUse(refusal),
            409 => Self::Conflict(refusal),
            410 => Self::Gone(refusal),
            413 => Self::QuotaExceeded(refusal),
            415 => Self::FormatRefused(refusal),
            500..=599 => Self::Failed(refusal),
            _ => Self::Rejected(refusal),
        }
    }

    /// The class for the driver.
    pub fn class(&self) -> Class {
        match self {
            Self::Configuration { .. }
            | Self::LoginRefused(_)
            | Self::NoProject { .. }
            | Self::NoImageService { .. }
            | Self::Forbidden(_)
            | Self::QuotaExceeded(_)
            | Self::FormatRefused(_)
            | Self::Invalid(_) => Class::Stalled,
            Self::Conflict(_) | Self::InUse(_) => Class::Waiting,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::NotLeading { .. }
            | Self::NotOpenStack { .. }
            | Self::TooLarge { .. }
            | Self::Unauthorized(_)
            | Self::NotFound(_)
            | Self::Gone(_)
            | Self::Rejected(_)
            | Self::Failed(_)
            | Self::UploadBroken { .. } => Class::Transient,
            Self::File { .. } => Class::Internal,
        }
    }

    /// The reason in the `Published` condition, and in metric labels.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Configuration { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::NotLeading { .. }
            | Self::NotOpenStack { .. }
            | Self::TooLarge { .. }
            | Self::NoImageService { .. }
            | Self::Failed(_) => Reason::CloudUnreachable,
            Self::LoginRefused(_) | Self::NoProject { .. } | Self::Unauthorized(_) | Self::Forbidden(_) => {
                Reason::NotAuthorized
            }
            // The image was changed or removed between reading and writing. The next pass makes it again.
            Self::NotFound(_) | Self::Conflict(_) | Self::InUse(_) | Self::Gone(_) => Reason::Importing,
            Self::QuotaExceeded(_) => Reason::QuotaExceeded,
            Self::FormatRefused(_)
            | Self::Invalid(_)
            | Self::Rejected(_)
            | Self::UploadBroken { .. }
            | Self::File { .. } => Reason::ImportFailed,
        }
    }

    /// The label `outcome` of the metric of calls.
    pub(super) fn outcome<T>(result: &Result<T, Self>) -> &'static str {
        result.as_ref().map_or_else(|error| error.reason().as_str(), |_| "Succeeded")
    }

    /// Whether the call may have been executed, or may still be.
    pub fn may_be_done(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::NotOpenStack { .. }
                | Self::TooLarge { .. }
                | Self::Failed(_)
                | Self::UploadBroken { .. }
        )
    }

    /// Whether the whole cloud is unreachable, so that the other images need not be tried.
    pub fn ends_the_pass(&self) -> bool {
        matches!(
            self,
            Self::Configuration { .. }
                | Self::Unreachable { .. }
                | Self::NotLeading { .. }
                | Self::NotOpenStack { .. }
                | Self::LoginRefused(_)
                | Self::NoProject { .. }
                | Self::NoImageService { .. }
                | Self::Unauthorized(_)
        )
    }
}

impl From<OpenStackError> for CloudError {
    fn from(error: OpenStackError) -> Self {
        let reason = error.reason();
        let is_refused = reason == Reason::NotAuthorized;
        Self { reason: reason.as_str(), class: error.class(), is_refused, message: error.to_string() }
    }
}

/// Whether a message says that something uses the image: Glance's `InUseByStore` and its "is in use".
fn is_in_use(text: &str) -> bool {
    ["in use", "in-use", "InUse"].iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests;
