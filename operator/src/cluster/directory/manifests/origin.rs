//! Where an object stands, and what is wrong with it there.

use std::path::Path;

use super::document::Document;
use super::place::{self, Step};
use super::problem::ManifestProblem;

/// Where an object stands.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub file: &'a Path,
    pub document: Document<'a>,
    pub path: &'a [Step],
    pub in_chart: bool,
}

/// What is wrong with an object: where in it, and why.
pub(super) struct Refusal {
    pub path: Vec<Step>,
    pub key: bool,
    pub message: String,
}

impl Refusal {
    pub(super) fn at(field: &str, message: impl Into<String>) -> Self {
        let path =
            if field.is_empty() { Vec::new() } else { field.split('.').map(|name| Step::Field(name.into())).collect() };
        Self { path, key: false, message: message.into() }
    }
}

impl Origin<'_> {
    pub(super) fn problem(&self, object: Option<String>, refusal: Refusal) -> ManifestProblem {
        let Refusal { path, key, message } = refusal;
        let whole = [self.path, &path].concat();
        let line = place::find(self.document.text, &whole, key).map_or(1, |place| place.line);
        let shown = place::shown(&path);
        ManifestProblem {
            path: self.file.to_owned(),
            document: Some(self.document.number),
            line: Some(self.document.line + line - 1),
            object,
            message: if shown.is_empty() { message } else { format!("{shown}: {message}") },
        }
    }
}
