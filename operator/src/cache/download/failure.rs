//! Which failures of a transfer may pass. Pure.

use crate::fetch::FetchError;

/// Whether the same request may succeed within a minute.
pub(super) fn may_pass_soon(error: &FetchError) -> bool {
    match error {
        FetchError::Timeout { .. } | FetchError::Connection { .. } => true,
        FetchError::Status { status, .. } => *status >= 500 || [408, 425, 429].contains(status),
        FetchError::ProxyRefused { refusal, .. } => refusal.status.is_none_or(|status| status >= 500),
        FetchError::AuthenticationFailed { .. }
        | FetchError::ProxyAuthenticationFailed { .. }
        | FetchError::Encoding { .. }
        | FetchError::Unreadable { .. }
        | FetchError::TokenRefused { .. }
        | FetchError::CredentialsUnusable { .. }
        | FetchError::UrlInvalid { .. }
        | FetchError::Tls { .. }
        | FetchError::TlsSettings { .. }
        | FetchError::TooLarge { .. }
        | FetchError::NotKept { .. }
        | FetchError::Setup { .. }
        | FetchError::File { .. } => false,
    }
}

/// Whether the transfer was too slow. This counts as a failed try, however many bytes were received.
pub(super) fn is_stall(error: &FetchError) -> bool {
    matches!(error, FetchError::Timeout { .. })
}
