//! What an error of the HTTP client means.

use std::error::Error;

use openssl::error::ErrorStack;
use url::Url;

use super::super::sink::SinkError;
use super::verdict::shown;
use crate::text::{self, cause};

/// The most characters of a chain of causes.
const LONGEST_CHAIN: usize = 400;

/// Converts an error of the HTTP client: there was no whole response.
pub(super) fn failure(url: &Url, error: reqwest::Error) -> SinkError {
    let error = error.without_url();
    let chain = chain(&error);
    let stack = cause::<openssl::ssl::Error>(&error).and_then(|error| error.ssl_error());
    let found = match stack.or_else(|| cause::<ErrorStack>(&error)) {
        Some(stack) => format!("TLS: {}", tls(stack, &chain)),
        None => chain,
    };
    SinkError::Unreachable { address: shown(url), found }
}

/// What is wrong with TLS, without OpenSSL's numbers, functions and files: `certificate verify failed (hostname mismatch)`.
fn tls(stack: &ErrorStack, chain: &str) -> String {
    // Reasons such as `EVP lib` only say that the next one is from another part of OpenSSL.
    let reasons =
        stack.errors().iter().filter_map(openssl::error::Error::reason).filter(|reason| !reason.ends_with(" lib"));
    let mut reasons: Vec<&str> = reasons.collect();
    reasons.dedup();
    if reasons.is_empty() {
        return chain.to_owned();
    }
    // The TLS library adds the result of the verification of the certificate in parentheses.
    let verification = chain.strip_suffix(')').and_then(|chain| chain.rsplit_once('(')).map(|(_, result)| result);
    let verification = verification.map(|result| format!(" ({result})")).unwrap_or_default();
    format!("{}{verification}", reasons.join(", "))
}

/// An error with its causes on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    text::one_line(text::with_causes(error).as_bytes(), LONGEST_CHAIN)
}
