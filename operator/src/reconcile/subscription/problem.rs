//! Why a list could not be fetched.

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
}
