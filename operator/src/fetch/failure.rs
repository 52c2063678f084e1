//! What an error of the HTTP client means for a fetch.

use super::address::AddressRefused;
use super::error::{FetchError, chain};
use crate::imagelist::SourceUrl;

/// Converts an error of the HTTP client.
pub(super) fn failure(url: &SourceUrl, error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let url = url.clone();
    if let Some(refused) = cause::<AddressRefused>(&error) {
        return FetchError::UrlInvalid { url, message: refused.to_string() };
    }
    let tls = cause::<openssl::ssl::Error>(&error).is_some_and(|error| error.ssl_error().is_some())
        || cause::<openssl::error::ErrorStack>(&error).is_some();
    let message = chain(&error);
    if tls {
        FetchError::Tls { url, message }
    } else if error.is_timeout() {
        FetchError::Timeout { url, message }
    } else {
        FetchError::Connection { url, message }
    }
}

fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The `source` of an `io::Error` is the source of its inner error, not the inner error itself.
        if let Some(found) = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()?.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
