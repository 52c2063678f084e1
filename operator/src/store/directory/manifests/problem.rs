//! Problems of manifests.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A file, or an object in it, that was refused. Its earlier content stays in force.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct ManifestProblem {
    /// The file, relative to the folder; empty for the folder itself.
    #[serde(rename = "file")]
    pub path: PathBuf,
    /// The document in the file, counted from 1.
    pub document: Option<usize>,
    /// The line of the file, counted from 1.
    pub line: Option<usize>,
    /// The kind and name of the object, if known.
    pub object: Option<String>,
    /// What was expected and what was found.
    pub message: String,
}

impl ManifestProblem {
    /// A problem of a file as a whole.
    pub(in crate::store::directory) fn of_file(path: &Path, message: &str) -> Self {
        Self { path: path.to_owned(), document: None, line: None, object: None, message: bounded(message) }
    }

    /// Logs the problem.
    pub(crate) fn warn(&self) {
        let Self { path, document, line, object, message } = self;
        tracing::warn!(path = %path.display(), document, line, manifest = object, "{message}");
    }
}

/// A text that may repeat parts of a file, cut to 600 bytes.
pub(super) fn bounded(text: &str) -> String {
    const MOST: usize = 600;
    let end = text.floor_char_boundary(MOST);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        let document = self.document.map(|document| format!("document {document}"));
        let line = self.line.map(|line| format!("line {line}"));
        let place: Vec<String> = document.into_iter().chain(line).collect();
        for part in [place.join(", "), self.object.clone().unwrap_or_default()].iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)
    }
}
