//! The downloads that objects want.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::api::ObjectKey;
use crate::cache::JobKey;

/// The objects whose download failed because of missing space and was tried again in this run. Only a run that a user
/// started tries such downloads again before their time, each once.
#[derive(Debug, Default)]
pub struct TriedAnew(Mutex<Option<HashSet<ObjectKey>>>);

impl TriedAnew {
    /// Marks this run as started by a user.
    pub fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
    }

    /// Whether an object may be tried again: true at its first call in a run that a user started.
    pub fn take(&self, object: &ObjectKey) -> bool {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.as_mut().is_some_and(|tried| tried.insert(object.clone()))
    }
}

/// The download that each object wants. Several objects may want the same one. It is cancelled when the last of them no
/// longer wants it.
#[derive(Debug, Default)]
pub struct Downloads(Mutex<HashMap<ObjectKey, JobKey>>);

impl Downloads {
    /// The download that an object wants.
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

    /// The objects that want a download, each with it.
    pub fn wanted(&self) -> Vec<(ObjectKey, JobKey)> {
        let downloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        downloads.iter().map(|(object, job)| (object.clone(), job.clone())).collect()
    }

    /// Whether this holds for any download that is wanted. `holds` must not use these downloads.
    pub fn any(&self, holds: impl Fn(&JobKey) -> bool) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().any(holds)
    }

    /// Sets the download that an object wants.
    pub fn want(&self, object: &ObjectKey, job: JobKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(object.clone(), job);
    }

    /// Removes the download of an object. Returns whether no other object wants it either.
    pub fn let_go(&self, object: &ObjectKey) -> bool {
        let mut downloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = downloads.remove(object) else { return false };
        !downloads.values().any(|other| *other == job)
    }
}
