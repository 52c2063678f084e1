//! The location of an object, and errors in it.

use std::path::Path;

use super::problem::{ManifestProblem, bounded};
use crate::yaml::{self, Document, Step};

/// The location of an object.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The file, relative to the folder.
    pub file: &'a Path,
    /// The document in the file.
    pub document: Document<'a>,
    /// The path of the object in a List.
    pub path: &'a [Step],
    /// Whether the file belongs to a Helm chart.
    pub in_chart: bool,
}

/// An error in an object: its path and the message.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// The path of the error in the object.
    pub path: Vec<Step>,
    /// Whether the key itself is wrong, not its value.
    pub key: bool,
    /// Whether the value would be correct as quoted text.
    pub quote: bool,
    /// The line in the file, if the error has no path.
    pub line: Option<usize>,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// An error of a field, by its path; an empty path is the whole object.
    pub(super) fn at(field: &str, message: impl Into<String>) -> Self {
        let names = field.split('.').filter(|name| !name.is_empty());
        Self { path: names.map(|name| Step::Field(name.into())).collect(), message: message.into(), ..Self::default() }
    }

    /// An error in a line of the file.
    pub(super) fn in_line(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into(), ..Self::default() }
    }
}

impl Origin<'_> {
    /// Makes the problem of a refusal. It searches the text for the position, which takes as long as parsing it.
    pub(super) fn problem(&self, object: Option<&str>, refusal: Refusal) -> ManifestProblem {
        let Refusal { path, key, quote, line, mut message } = refusal;
        let place = match line {
            Some(_) => None,
            None => yaml::find(self.document.text, &[self.path, &path].concat(), key),
        };
        let line = line.unwrap_or_else(|| self.document.line + place.as_ref().map_or(0, |place| place.line - 1));
        if let Some(scalar) = place.and_then(|place| place.scalar).filter(|_| quote) {
            message = format!("expected text, found {scalar} without quotes; quote it: {scalar:?}");
        }
        let shown = yaml::shown(&path);
        let message = if shown.is_empty() { message } else { format!("{shown}: {message}") };
        ManifestProblem {
            document: Some(self.document.number),
            line: Some(line),
            object: object.map(bounded),
            ..ManifestProblem::of_file(self.file, &message)
        }
    }
}
