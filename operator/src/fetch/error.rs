//! What can go wrong on the way to some bytes.

use std::time::Duration;

use super::came::Came;
use super::challenge::Challenges;
use crate::api::Class;
use crate::imagelist::SourceUrl;

/// Why bytes could not be fetched. No message holds a query, a password or a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// 401 or 403: credentials are missing, wrong or not enough.
    #[error("{url} answered {status}: {}{}{came}", if *.sent { "the credentials of its secret were refused" } else { "it wants credentials and the source has no secret" }, .challenges.of_server())]
    AuthenticationFailed {
        /// What was asked for.
        url: SourceUrl,
        /// The status code.
        status: u16,
        /// Whether credentials went out with the request.
        sent: bool,
        /// What the server asks for.
        challenges: Box<Challenges>,
        /// What it says besides.
        came: Box<Came>,
    },
    /// The proxy of the environment wants to know who asks (407, or SOCKS with a log-in). The source was not reached.
    #[error("{url}: {challenge}")]
    ProxyAuthenticationFailed {
        /// What was asked for.
        url: SourceUrl,
        /// Which proxy, and what it asks for.
        challenge: Box<ProxyChallenge>,
    },
    /// The proxy of the environment let no connection through.
    #[error("{url}: {refusal}")]
    ProxyRefused {
        /// What was asked for.
        url: SourceUrl,
        /// Which proxy, and its answer.
        refusal: Box<ProxyRefusal>,
    },
    /// Credentials that no request can carry. Nothing was sent.
    #[error("{url}: its credentials cannot be sent: expected a bearer token of visible characters, found others")]
    CredentialsUnusable {
        /// What was asked for.
        url: SourceUrl,
    },
    /// An address that is not fetched from: a refused range, a scheme that is not allowed here, a bad redirect.
    #[error("{url}: {message}")]
    UrlInvalid {
        /// What was asked for.
        url: SourceUrl,
        /// What was expected and what was found.
        message: String,
    },
    /// No TLS connection that can be believed.
    #[error("{url}: no trusted TLS connection: {message}")]
    Tls {
        /// What was asked for.
        url: SourceUrl,
        /// What OpenSSL says.
        message: String,
    },
    /// The TLS settings of the source cannot be used: an unreadable trust directory, a broken certificate or key.
    #[error("{url}: its TLS settings cannot be used: {message}")]
    TlsSettings {
        /// What was asked for.
        url: SourceUrl,
        /// What is wrong with them.
        message: String,
    },
    /// Nothing or too little came in time.
    #[error("{url}: {message}")]
    Timeout {
        /// What was asked for.
        url: SourceUrl,
        /// Which limit, and what came until then.
        message: String,
    },
    /// An answer with a status that holds no bytes.
    #[error("{url} answered {status}{}{came}", reason_phrase(*.status))]
    Status {
        /// What was asked for.
        url: SourceUrl,
        /// The status code.
        status: u16,
        /// `Retry-After` in seconds, where the server sent one.
        retry_after: Option<u32>,
        /// What came with it.
        came: Box<Came>,
    },
    /// A body that is not encoded as its `Content-Encoding` says.
    #[error("{url}: {message}")]
    Encoding {
        /// What was asked for.
        url: SourceUrl,
        /// What was expected and what was found.
        message: String,
    },
    /// No connection, a connection that broke, or an answer that is not HTTP.
    #[error("{url}: {message}")]
    Connection {
        /// What was asked for.
        url: SourceUrl,
        /// What happened.
        message: String,
    },
    /// More bytes than the document may have.
    #[error("{url}: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// What was asked for.
        url: SourceUrl,
        /// The limit in bytes.
        limit: u64,
        /// What the server announced, or `more` when it just kept sending.
        found: String,
    },
    /// What came cannot be kept until it is judged: the volume is full, or gone.
    #[error("{url}: it cannot be kept on the volume: {message}")]
    NotKept {
        /// What was asked for.
        url: SourceUrl,
        /// What the system says.
        message: String,
    },
    /// The client itself cannot be made: no TLS library, or a proxy in the environment that is no URL.
    #[error("the HTTP client cannot be set up: {message}")]
    Setup {
        /// What is wrong.
        message: String,
    },
    /// A local file that cannot be read.
    #[error("{url}: {message}")]
    File {
        /// What was asked for.
        url: SourceUrl,
        /// What the system says.
        message: String,
    },
}

/// A proxy that wants to know who asks.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the proxy {proxy} {}{}", if *.sent { "refused the user and password that its variable has" } else { "wants user and password, and its variable has none" }, .challenges.of_proxy())]
pub struct ProxyChallenge {
    /// Its address, without user and password.
    pub(super) proxy: String,
    /// Whether its variable has a user.
    pub(super) sent: bool,
    /// What it asks for.
    pub(super) challenges: Challenges,
}

/// A proxy that let no connection through.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the proxy {proxy} let no connection through: {message}")]
pub struct ProxyRefusal {
    /// Its address, without user and password.
    pub(super) proxy: String,
    /// Its status code, where it gave one.
    pub status: Option<u16>,
    /// What it answered.
    pub(super) message: String,
}

pub(super) fn reason_phrase(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map(|reason| format!(" {reason}")).unwrap_or_default()
}

impl FetchError {
    /// How long the server asked to be left alone, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Status { retry_after, .. } = self else { return None };
        retry_after.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether the server says that it has no such thing. Some stores answer 403 for what they do not have.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::AuthenticationFailed { status, .. } | Self::Status { status, .. } => [403, 404, 410].contains(status),
            Self::File { .. } => true,
            Self::CredentialsUnusable { .. }
            | Self::ProxyAuthenticationFailed { .. }
            | Self::ProxyRefused { .. }
            | Self::UrlInvalid { .. }
            | Self::Tls { .. }
            | Self::TlsSettings { .. }
            | Self::Timeout { .. }
            | Self::Encoding { .. }
            | Self::Connection { .. }
            | Self::TooLarge { .. }
            | Self::NotKept { .. }
            | Self::Setup { .. } => false,
        }
    }

    /// The reason of the condition `FetchFailed`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AuthenticationFailed { .. } | Self::CredentialsUnusable { .. } => "AuthenticationFailed",
            Self::UrlInvalid { .. } | Self::File { .. } => "URLInvalid",
            Self::Tls { .. } | Self::TlsSettings { .. } => "TLSError",
            Self::Timeout { .. } => "Timeout",
            Self::ProxyAuthenticationFailed { .. } => "ProxyAuthenticationFailed",
            Self::ProxyRefused { .. } => "ProxyRefused",
            Self::Status { .. } | Self::Encoding { .. } | Self::Connection { .. } | Self::Setup { .. } => "HTTPError",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotKept { .. } => "StorageOperationFailed",
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::AuthenticationFailed { .. }
            | Self::CredentialsUnusable { .. }
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
            | Self::Connection { .. }
            | Self::NotKept { .. }
            | Self::File { .. } => Class::Transient,
        }
    }
}
