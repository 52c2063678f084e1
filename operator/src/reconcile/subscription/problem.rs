//! Why a list could not be fetched.

use crate::api::Class;

/// Why the list could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FetchProblem {
    /// One word.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// What kind of trouble it is.
    pub class: Class,
}
