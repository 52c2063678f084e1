//! The loaded trust directory, which is loaded again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::{AnchorProblem, Fingerprint, fingerprint, load};
use crate::trust::{Anchors, DistinguishedName};

/// A trust directory and the anchors that were last loaded from it.
#[derive(Debug)]
pub struct TrustDirectory {
    path: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    seen: Fingerprint,
    anchors: Arc<Anchors>,
    /// The problems that were already reported.
    problems: Vec<AnchorProblem>,
}

impl TrustDirectory {
    /// Loads a trust directory. Returns the files that cannot be used; all others are in force.
    pub fn open(path: &Path) -> (Self, Vec<AnchorProblem>) {
        let seen = fingerprint(path);
        let (anchors, problems) = load(path);
        let loaded = Loaded { seen, anchors: Arc::new(anchors), problems: problems.clone() };
        (Self { path: path.to_owned(), loaded: RwLock::new(loaded) }, problems)
    }

    /// The anchors in force.
    pub fn current(&self) -> Arc<Anchors> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).anchors.clone()
    }

    /// When the CRL of each CA expires; see [`Anchors::crl_ends`].
    pub fn crl_ends(&self, at: Timestamp) -> Vec<(DistinguishedName, Timestamp)> {
        self.current().crl_ends(at)
    }

    /// Loads the directory again if it has changed. Returns the new problems, or `None` if it has not changed.
    pub fn refresh(&self) -> Option<Vec<AnchorProblem>> {
        // Taken before the files are read, so that a change during reading is detected at the next call.
        let seen = fingerprint(&self.path);
        if self.loaded.read().unwrap_or_else(PoisonError::into_inner).seen == seen {
            return None;
        }
        let (anchors, problems) = load(&self.path);
        let loaded = Loaded { seen, anchors: Arc::new(anchors), problems: problems.clone() };
        let mut state = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, loaded).problems;
        Some(problems.into_iter().filter(|problem| !before.contains(problem)).collect())
    }
}
