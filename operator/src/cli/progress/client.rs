//! Asks an operator for its running work.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::redirect::Policy;
use url::Url;

use crate::serve::ProgressPage;
use crate::text::one_line;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer in bytes: a page has at most 1000 rows.
const LARGEST: usize = 16 * 1024 * 1024;
/// The most characters of an answer that is not a page.
const WORDS: usize = 200;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The client could not be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    /// There is no answer.
    #[error("no operator answers at {address}: {found}; does it run with --listen, and is this its address and port?")]
    Unreachable {
        /// The address.
        address: Url,
        /// What was found.
        found: String,
    },
    /// Another status than 200.
    #[error("{address}: expected the progress of an operator, found the status {status}: {words}")]
    Status {
        /// The address.
        address: Url,
        /// The status.
        status: StatusCode,
        /// The beginning of the answer.
        words: String,
    },
    /// The answer is too large.
    #[error("{address}: expected at most {LARGEST} bytes, found more")]
    TooLarge {
        /// The address.
        address: Url,
    },
    /// The answer is not a page.
    #[error("{address}: expected the progress of an operator, found something else: {found}")]
    Page {
        /// The address.
        address: Url,
        /// What was found.
        found: String,
    },
}

impl ClientError {
    /// Whether an operator answered that it has no page at the moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::Client(_) | Self::Unreachable { .. } | Self::TooLarge { .. } | Self::Page { .. } => false,
        }
    }
}

/// Asks one operator.
pub(super) struct Client {
    client: reqwest::Client,
    address: Url,
}

impl Client {
    /// A client for the operator at an address.
    pub(super) fn new(address: &Url) -> Result<Self, ClientError> {
        // The operator is on this machine, or reached by a port that is forwarded: proxies are not for it.
        let builder = reqwest::Client::builder().http1_only().timeout(PATIENCE).no_proxy().redirect(Policy::none());
        let client = builder.build().map_err(|error| ClientError::Client(error.to_string()))?;
        let mut address = address.clone();
        let path = format!("{}/progress", address.path().trim_end_matches('/'));
        address.set_path(&path);
        Ok(Self { client, address })
    }

    /// The work that runs now.
    pub(super) async fn page(&self) -> Result<ProgressPage, ClientError> {
        let address = || self.address.clone();
        let unreachable = |error: reqwest::Error| ClientError::Unreachable { address: address(), found: cause(&error) };
        let mut response = self.client.get(address()).send().await.map_err(unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(ClientError::TooLarge { address: address() });
            }
            bytes.extend_from_slice(&chunk);
        }
        if status != StatusCode::OK {
            return Err(ClientError::Status { address: address(), status, words: one_line(&bytes, WORDS) });
        }
        let found = |error: &serde_json::Error| one_line(error.to_string().as_bytes(), WORDS);
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Page { address: address(), found: found(&error) })
    }
}

/// The innermost cause, which says what was found.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
