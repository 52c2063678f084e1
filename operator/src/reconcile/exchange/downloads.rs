//! Which object wants which download.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::api::ObjectKey;
use crate::cache::JobKey;

/// What failed for want of space is tried anew by a run that a person began, once each; never by one that goes on.
#[derive(Debug, Default)]
pub struct TriedAnew(Mutex<Option<HashSet<ObjectKey>>>);

impl TriedAnew {
    /// A person began this run.
    pub fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
    }

    /// Whether an object may be tried anew: the first time that it is asked of such a run.
    pub fn take(&self, object: &ObjectKey) -> bool {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.as_mut().is_some_and(|tried| tried.insert(object.clone()))
    }
}

/// Which object wants which download. Objects may share one; it is stopped when the last of them lets go.
#[derive(Debug, Default)]
pub struct Downloads(Mutex<HashMap<ObjectKey, JobKey>>);

impl Downloads {
    /// The download of an object.
    pub fn get(&self, object: &ObjectKey) -> Option<JobKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(object).cloned()
    }

    /// All downloads that are wanted, each once.
    pub fn all(&self) -> Vec<JobKey> {
        let downloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<JobKey> = downloads.values().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The objects that want a download.
    pub fn objects(&self) -> Vec<ObjectKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Notes that an object wants a download.
    pub fn want(&self, object: &ObjectKey, job: JobKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(object.clone(), job);
    }

    /// Notes that an object wants its download no more; says whether nobody else does either.
    pub fn let_go(&self, object: &ObjectKey) -> bool {
        let mut downloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = downloads.remove(object) else { return false };
        !downloads.values().any(|other| *other == job)
    }
}
