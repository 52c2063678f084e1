//! The trust directory: the files around `trust`.

use std::path::{Path, PathBuf};

use crate::trust::Anchors;

/// A file of the trust directory that could not be used; the others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorProblem {
    /// The file.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub message: String,
}

/// What a trust directory looks like from outside: names, sizes and times. Equal as long as nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint {}

/// Loads a trust directory (IGTF layout) or a plain bundle. One bad file costs only itself.
pub fn load(_path: &Path) -> (Anchors, Vec<AnchorProblem>) {
    todo!()
}

/// Looks at a trust directory without reading its files, so that it is loaded again only when it changed.
pub fn fingerprint(_path: &Path) -> Fingerprint {
    todo!()
}
