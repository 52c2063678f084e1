//! Why bytes are not handed over. Pure.

/// Why bytes are not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The reason of the `Published` condition.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
}

impl Refusal {
    /// Whether the missing conversion is being made.
    pub(super) fn ends_by_itself(&self) -> bool {
        self.reason == "Converting"
    }
}
