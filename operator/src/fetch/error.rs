//! What can go wrong on the way to some bytes.

use std::time::Duration;

use crate::api::Class;
use crate::imagelist::SourceUrl;

/// Why bytes could not be fetched. No message holds a query, a password or a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// 401, 403 or 407: credentials are missing, wrong or not enough.
    #[error("{url} answered {status}: {}", if *.sent { "the credentials of its secret were refused" } else { "it wants credentials and the source has no secret" })]
    AuthenticationFailed {
        /// What was asked for.
        url: SourceUrl,
        /// The status code.
        status: u16,
        /// Whether credentials went out with the request.
        sent: bool,
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
    #[error("{url} answered {status}{}", reason_phrase(*.status))]
    Status {
        /// What was asked for.
        url: SourceUrl,
        /// The status code.
        status: u16,
        /// `Retry-After`, where the server sent one.
        retry_after: Option<Duration>,
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

fn reason_phrase(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map(|reason| format!(" {reason}")).unwrap_or_default()
}

impl FetchError {
    /// How long the server asked to be left alone, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }

    /// The reason of the condition `FetchFailed`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AuthenticationFailed { .. } | Self::CredentialsUnusable { .. } => "AuthenticationFailed",
            Self::UrlInvalid { .. } | Self::File { .. } => "URLInvalid",
            Self::Tls { .. } | Self::TlsSettings { .. } => "TLSError",
            Self::Timeout { .. } => "Timeout",
            Self::Status { .. } | Self::Connection { .. } | Self::Setup { .. } => "HTTPError",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotKept { .. } => "StorageOperationFailed",
        }
    }

    /// What kind of trouble it is.
    pub fn class(&self) -> Class {
        match self {
            Self::AuthenticationFailed { .. }
            | Self::CredentialsUnusable { .. }
            | Self::UrlInvalid { .. }
            | Self::TlsSettings { .. }
            | Self::TooLarge { .. } => Class::Stalled,
            Self::Setup { .. } => Class::Internal,
            Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Status { .. }
            | Self::Connection { .. }
            | Self::NotKept { .. }
            | Self::File { .. } => Class::Transient,
        }
    }
}
