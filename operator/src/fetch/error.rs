//! Errors of fetching.

use std::error::Error;
use std::time::Duration;

use super::address::AddressRefused;
use super::came::Came;
use super::challenge::Challenges;
use super::http2;
use crate::api::Class;
use crate::imagelist::SourceUrl;
use crate::text::{cause, with_causes};

/// The error of a fetch. No message contains a query, a password or a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// 401 or 403: credentials are missing, wrong or not enough.
    #[error("{url} answered {status}: {}{}{came}", if *.sent { "the credentials of its secret were refused" } else { "it wants credentials and the source has no secret" }, .challenges.of_server())]
    AuthenticationFailed {
        /// The URL of the request.
        url: SourceUrl,
        /// The status code.
        status: u16,
        /// Whether credentials were sent with the request.
        sent: bool,
        /// The authentication schemes that the server requests.
        challenges: Box<Challenges>,
        /// The description of the response.
        came: Box<Came>,
    },
    /// The proxy of the environment requires authentication (407, or SOCKS with a log-in). The source was not reached.
    #[error("{url}: {challenge}")]
    ProxyAuthenticationFailed {
        /// The URL of the request.
        url: SourceUrl,
        /// The proxy, and the authentication schemes that it requests.
        challenge: Box<ProxyChallenge>,
    },
    /// The proxy of the environment refused the connection.
    #[error("{url}: {refusal}")]
    ProxyRefused {
        /// The URL of the request.
        url: SourceUrl,
        /// The proxy and its response.
        refusal: Box<ProxyRefusal>,
    },
    /// Credentials that cannot be sent in a request. Nothing was sent.
    #[error("{0}: its credentials cannot be sent: expected a bearer token of visible characters, found others")]
    CredentialsUnusable(SourceUrl),
    /// A URL that is not allowed: a refused address range, a scheme that is not allowed here, or a bad redirect.
    #[error("{url}: {message}")]
    UrlInvalid {
        /// The URL of the request.
        url: SourceUrl,
        /// What was expected and what was found.
        message: String,
    },
    /// There is no trusted TLS connection.
    #[error("{url}: no trusted TLS connection: {message}")]
    Tls {
        /// The URL of the request.
        url: SourceUrl,
        /// The error of OpenSSL.
        message: String,
    },
    /// The TLS settings of the source cannot be used: an unreadable trust directory, a broken certificate or key.
    #[error("{url}: its TLS settings cannot be used: {message}")]
    TlsSettings {
        /// The URL of the request.
        url: SourceUrl,
        /// The error.
        message: String,
    },
    /// Nothing or too little was received in time.
    #[error("{url}: {message}")]
    Timeout {
        /// The URL of the request.
        url: SourceUrl,
        /// The limit, and what was received.
        message: String,
    },
    /// A response with a status without usable content.
    #[error("{url} answered {status}{}{came}", reason_phrase(*.status))]
    Status {
        /// The URL of the request.
        url: SourceUrl,
        /// The status code.
        status: u16,
        /// `Retry-After` in seconds, if the server sent it.
        retry_after: Option<u32>,
        /// The description of the response.
        came: Box<Came>,
    },
    /// A body that does not have the encoding in its `Content-Encoding`.
    #[error("{url}: {message}")]
    Encoding {
        /// The URL of the request.
        url: SourceUrl,
        /// What was expected and what was found.
        message: String,
    },
    /// A registry wants a token that cannot be had for it.
    #[error("{url}: {message}")]
    TokenRefused {
        /// The URL of the request.
        url: SourceUrl,
        /// What was expected and what was found.
        message: String,
    },
    /// A response of a registry that cannot be read.
    #[error("{url}: {message}")]
    Unreadable {
        /// The URL of the request.
        url: SourceUrl,
        /// What was expected and what was found.
        message: String,
    },
    /// There is no connection, it was interrupted, or the response is not HTTP.
    #[error("{url}: {message}")]
    Connection {
        /// The URL of the request.
        url: SourceUrl,
        /// The error.
        message: String,
    },
    /// More bytes than the document may have.
    #[error("{url}: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// The URL of the request.
        url: SourceUrl,
        /// The limit in bytes.
        limit: u64,
        /// The length from the server, or `more` if it kept sending.
        found: String,
    },
    /// The document cannot be stored until it is verified, because the volume is full or missing.
    #[error("{url}: it cannot be kept on the volume: {message}")]
    NotKept {
        /// The URL of the request.
        url: SourceUrl,
        /// The error of the operating system.
        message: String,
    },
    /// The client cannot be set up: there is no TLS library, or a proxy in the environment is not a URL.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
    /// A local file that cannot be read.
    #[error("{url}: {message}")]
    File {
        /// The URL of the request.
        url: SourceUrl,
        /// The error of the operating system.
        message: String,
    },
}

/// A proxy that requires authentication.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the proxy {proxy} {}{}", if *.sent { "refused the user and password that its variable has" } else { "wants user and password, and its variable has none" }, .challenges.of_proxy())]
pub struct ProxyChallenge {
    /// The URL of the proxy, without user and password.
    pub(super) proxy: String,
    /// Whether its environment variable contains a user.
    pub(super) sent: bool,
    /// The authentication schemes that it requests.
    pub(super) challenges: Challenges,
}

/// A proxy that refused the connection.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the proxy {proxy} let no connection through: {message}")]
pub struct ProxyRefusal {
    /// The URL of the proxy, without user and password.
    pub(super) proxy: String,
    /// Its status code, if it sent one.
    pub status: Option<u16>,
    /// Its response.
    pub(super) message: String,
}

pub(super) fn reason_phrase(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map(|reason| format!(" {reason}")).unwrap_or_default()
}

impl FetchError {
    /// The time in `Retry-After`, if the server sent it.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Status { retry_after, .. } = self else { return None };
        retry_after.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether the document does not exist. Some stores answer 403 for a missing object.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::AuthenticationFailed { status: 403 | 404 | 410, .. }
                | Self::Status { status: 403 | 404 | 410, .. }
                | Self::File { .. }
        )
    }

    /// The reason of the condition `FetchFailed`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AuthenticationFailed { .. } | Self::CredentialsUnusable { .. } | Self::TokenRefused { .. } => {
                "AuthenticationFailed"
            }
            Self::UrlInvalid { .. } | Self::File { .. } => "URLInvalid",
            Self::Tls { .. } | Self::TlsSettings { .. } => "TLSError",
            Self::Timeout { .. } => "Timeout",
            Self::ProxyAuthenticationFailed { .. } => "ProxyAuthenticationFailed",
            Self::ProxyRefused { .. } => "ProxyRefused",
            Self::Status { .. }
            | Self::Encoding { .. }
            | Self::Unreadable { .. }
            | Self::Connection { .. }
            | Self::Setup { .. } => "HTTPError",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotKept { .. } => "StorageOperationFailed",
        }
    }

    /// The class for the driver.
    pub fn class(&self) -> Class {
        match self {
            Self::AuthenticationFailed { .. }
            | Self::CredentialsUnusable { .. }
            | Self::TokenRefused { .. }
            | Self::ProxyAuthenticationFailed { .. }
            | Self::UrlInvalid { .. }
            | Self::TlsSettings { .. }
            | Self::TooLarge { .. } => Class::Stalled,
            Self::Setup { .. } => Class::Internal,
            Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Status { .. }
            | Self::ProxyRefused { .. }
            | Self::Encoding { .. }
            | Self::Unreadable { .. }
            | Self::Connection { .. }
            | Self::NotKept { .. }
            | Self::File { .. } => Class::Transient,
        }
    }
}

/// Converts an error of the HTTP client.
pub(super) fn failure(url: &SourceUrl, error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    not_connected(url, &error, error.is_timeout())
}

/// Converts an error of a connection.
pub(super) fn not_connected(url: &SourceUrl, error: &(dyn Error + 'static), is_timeout: bool) -> FetchError {
    let url = url.clone();
    if let Some(refused) = cause::<AddressRefused>(error) {
        return FetchError::UrlInvalid { url, message: refused.to_string() };
    }
    let tls = cause::<openssl::ssl::Error>(error).is_some_and(|error| error.ssl_error().is_some())
        || cause::<openssl::error::ErrorStack>(error).is_some();
    let message = http2::explained(error).unwrap_or_else(|| with_causes(error));
    if tls {
        FetchError::Tls { url, message }
    } else if is_timeout {
        FetchError::Timeout { url, message }
    } else {
        FetchError::Connection { url, message }
    }
}
