//! Why a list could not be fetched.

use std::time::Duration;

use crate::api::Class;

/// Why the list could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FetchProblem {
    /// The reason: one word.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// The class of the error.
    pub class: Class,
    /// How long the server asks to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
}
