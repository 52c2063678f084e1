//! Where an object is, and what is wrong with it there.

use std::path::Path;

use super::document::Document;
use super::place::{self, Step};
use super::problem::{ManifestProblem, bounded};

/// Where an object is.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The file, from the folder's root.
    pub file: &'a Path,
    /// The document of it.
    pub document: Document<'a>,
    /// The way into a List.
    pub path: &'a [Step],
    /// The file belongs to a Helm chart.
    pub in_chart: bool,
}

/// What is wrong with an object: where in it, and why.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// Where.
    pub path: Vec<Step>,
    /// The key itself is at fault, not its value.
    pub key: bool,
    /// The value would be right between quotes.
    pub quote: bool,
    /// The line of the file, where no path leads to it.
    pub line: Option<usize>,
    /// Why.
    pub message: String,
}

impl Refusal {
    /// Of a field, by its path; of the whole, where that is empty.
    pub(super) fn at(field: &str, message: impl Into<String>) -> Self {
        let names = field.split('.').filter(|name| !name.is_empty());
        Self { path: names.map(|name| Step::Field(name.into())).collect(), message: message.into(), ..Self::default() }
    }

    /// Of a line of the file.
    pub(super) fn in_line(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into(), ..Self::default() }
    }
}

impl Origin<'_> {
    /// What is reported of it. The place is looked for in the text, so this takes as long as reading it.
    pub(super) fn problem(&self, object: Option<&str>, refusal: Refusal) -> ManifestProblem {
        let Refusal { path, key, quote, line, mut message } = refusal;
        let place = match line {
            Some(_) => None,
            None => place::find(self.document.text, &[self.path, &path].concat(), key),
        };
        let line = line.unwrap_or_else(|| self.document.line + place.as_ref().map_or(0, |place| place.line - 1));
        if let Some(scalar) = place.and_then(|place| place.scalar).filter(|_| quote) {
            message = format!("expected text, found {scalar} without quotes; quote it: {scalar:?}");
        }
        let shown = place::shown(&path);
        let message = if shown.is_empty() { message } else { format!("{shown}: {message}") };
        ManifestProblem {
            document: Some(self.document.number),
            line: Some(line),
            object: object.map(bounded),
            ..ManifestProblem::of_file(self.file, &message)
        }
    }
}
