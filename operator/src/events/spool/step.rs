//! The points at which a run can be interrupted: every change of the spool's directory is one named step.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Called with the name of each step just before it is made. If it returns an error, the step is not made and fails
/// with it. For tests, which cut a run there.
pub(super) trait Steps: Send + Sync {
    /// The step named `step` is made next.
    fn before(&self, step: &'static str) -> io::Result<()>;
}

/// An optional [`Steps`].
#[derive(Clone, Default)]
pub(super) struct StepHook(Option<Arc<dyn Steps>>);

impl StepHook {
    #[cfg(test)]
    pub(super) fn new(steps: Arc<dyn Steps>) -> Self {
        Self(Some(steps))
    }

    pub(super) fn before(&self, step: &'static str) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |steps| steps.before(step))
    }
}

impl fmt::Debug for StepHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StepHook(set)" } else { "StepHook(none)" })
    }
}
