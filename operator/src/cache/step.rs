//! Where a run can be cut off: every change of the volume goes through one named step.

use std::fmt;
use std::sync::Arc;

/// Told the name of each step just before it is made. For tests, which end the process there.
pub trait Steps: Send + Sync {
    /// The step named `step` comes next.
    fn before(&self, step: &'static str);
}

/// Nobody, or somebody who is told.
#[derive(Clone, Default)]
pub(super) struct StepHook(pub(super) Option<Arc<dyn Steps>>);

impl StepHook {
    pub(super) fn before(&self, step: &'static str) {
        if let Some(steps) = &self.0 {
            steps.before(step);
        }
    }
}

impl fmt::Debug for StepHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StepHook(told)" } else { "StepHook(nobody)" })
    }
}
