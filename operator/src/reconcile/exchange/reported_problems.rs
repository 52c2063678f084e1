//! The errors of specs that were logged. Each is logged once, even if many passes find it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::api::{Kind, ObjectKey};

/// The last logged error of each object with an invalid spec.
#[derive(Debug, Default)]
pub struct ReportedProblems(Mutex<HashMap<(Kind, ObjectKey), String>>);

impl ReportedProblems {
    /// Sets the error of an object. Returns whether it is a new one.
    pub(in crate::reconcile) fn is_new(&self, kind: Kind, key: &ObjectKey, message: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert((kind, key.clone()), message.to_owned()).as_deref() != Some(message)
    }

    /// Removes the error of an object whose spec is valid again, or that no longer exists.
    pub(in crate::reconcile) fn forget(&self, kind: Kind, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind, key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_again_only_after_it_was_mended() {
        let (told, key) = (ReportedProblems::default(), ObjectKey::new("default", "vo"));
        let is_new = |message: &str| told.is_new(Kind::Subscription, &key, message);
        assert_eq!([is_new("a"), is_new("a"), is_new("b"), is_new("b")], [true, false, true, false]);
        told.forget(Kind::Subscription, &key);
        assert!(is_new("b"));
    }
}
