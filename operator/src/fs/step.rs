//! The points at which a run can be interrupted: every change of the volume is one named step.

use std::fmt;
use std::sync::Arc;

/// Called with the name of each step just before it is made. For tests, which end the process there.
pub trait Steps: Send + Sync {
    /// The step named `step` is made next.
    fn before(&self, step: &'static str);
}

/// An optional [`Steps`].
#[derive(Clone, Default)]
pub(crate) struct StepHook(pub(crate) Option<Arc<dyn Steps>>);

impl StepHook {
    pub(crate) fn before(&self, step: &'static str) {
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
