//! Passes that make their plans and do not apply them.

use std::sync::{Mutex, PoisonError};

use crate::api::{Kind, ObjectKey};

/// The plans of passes that are not applied.
#[derive(Debug, Default)]
pub struct DryRun(Mutex<Vec<Planned>>);

/// The plan for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: ObjectKey,
    /// The steps, as text for people.
    pub plan: String,
}

impl DryRun {
    pub(super) fn record(&self, planned: Planned) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    /// Takes the plans, in the order of the passes.
    pub fn take(&self) -> Vec<Planned> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
