//! The trust directory as it stands: loaded, and loaded again when it changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::{AnchorProblem, Fingerprint, fingerprint, load};
use crate::trust::{Anchors, DistinguishedName};

/// A trust directory and what was last loaded from it.
#[derive(Debug)]
pub struct TrustDirectory {
    path: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    seen: Fingerprint,
    anchors: Arc<Anchors>,
    /// What was reported already.
    problems: Vec<AnchorProblem>,
}

impl TrustDirectory {
    /// Loads a trust directory. Files that cannot be used are told; the others are in force.
    pub fn open(path: &Path) -> (Self, Vec<AnchorProblem>) {
        let seen = fingerprint(path);
        let (anchors, problems) = load(path);
        let loaded = Loaded { seen, anchors: Arc::new(anchors), problems: problems.clone() };
        (Self { path: path.to_owned(), loaded: RwLock::new(loaded) }, problems)
    }

    /// What is in force.
    pub fn current(&self) -> Arc<Anchors> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).anchors.clone()
    }

    /// Until when each CA has a CRL of its own; see [`Anchors::crl_ends`].
    pub fn crl_ends(&self, at: Timestamp) -> Vec<(DistinguishedName, Timestamp)> {
        self.current().crl_ends(at)
    }

    /// Loads the directory again if it looks different than before; `None` where it does not. Gives what cannot be used
    /// and was not told before.
    pub fn refresh(&self) -> Option<Vec<AnchorProblem>> {
        // Looked at before it is read: a change in between is seen the next time.
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
