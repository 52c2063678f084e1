//! Errors of steps.

use super::source::SourceError;
use crate::api::Class;
use crate::cache::{CacheError, NameError};
use crate::events::{SpoolError, Veto};
use crate::store::StoreError;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {problem}")]
pub(super) struct StepError {
    /// The step, as the plan prints it.
    pub step: String,
    /// Why.
    pub problem: StepProblem,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepProblem {
    /// An error of the volume.
    #[error(transparent)]
    Volume(#[from] CacheError),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The credentials of a download are not available.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A handler refused the step.
    #[error(transparent)]
    Veto(#[from] Veto),
    /// The events could not be stored.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl From<NameError> for StepProblem {
    fn from(error: NameError) -> Self {
        Self::Volume(error.into())
    }
}

impl StepError {
    /// The condition reason.
    pub(super) fn reason(&self) -> &'static str {
        match &self.problem {
            StepProblem::Volume(error) => error.reason(),
            StepProblem::Store(error) => error.reason(),
            StepProblem::Source(error) => error.reason(),
            StepProblem::Veto(_) => "HookVetoed",
            StepProblem::Spool(error) => error.reason(),
        }
    }

    /// The class of the error.
    pub(super) fn class(&self) -> Class {
        match &self.problem {
            StepProblem::Volume(error) => error.class(),
            StepProblem::Store(error) => error.class(),
            StepProblem::Source(error) => error.class(),
            StepProblem::Veto(_) | StepProblem::Spool(_) => Class::Transient,
        }
    }

    /// Whether it is an error of the volume.
    pub(super) fn is_storage(&self) -> bool {
        match &self.problem {
            StepProblem::Volume(_) | StepProblem::Spool(_) => true,
            StepProblem::Store(_) | StepProblem::Source(_) | StepProblem::Veto(_) => false,
        }
    }

    /// The veto of a handler, if that is the reason.
    pub(super) fn veto(&self) -> Option<&Veto> {
        match &self.problem {
            StepProblem::Veto(veto) => Some(veto),
            StepProblem::Volume(_) | StepProblem::Spool(_) | StepProblem::Store(_) | StepProblem::Source(_) => None,
        }
    }
}
