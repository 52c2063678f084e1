//! Checks a list before it is signed: what sites refuse, and what some of them have trouble with.

mod image;
mod keys;
mod list;

use std::fmt;

use jiff::Timestamp;

use super::field::{Fault, FieldError};
use super::json::{self, Object};
use super::{ImageList, ListError, parse};

/// The parameters of [`lint`].
#[derive(Debug, Clone, Copy)]
pub struct LintRequest<'a> {
    /// The time of the check.
    pub now: Timestamp,
    /// The list that this one replaces.
    pub previous: Option<&'a ImageList>,
}

/// One finding about a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// The place: `hv:imagelist.hv:images[3].hv:image.hv:size`, counted from 0.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
    /// How to fix it.
    pub advice: String,
}

/// How serious a finding is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Sites refuse the list, or this image of it.
    Error,
    /// The software of some sites has trouble with it, or it is probably a mistake.
    Warning,
    /// For information.
    Notice,
}

impl Severity {
    /// The severity in one word, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Checks the text of a list. Returns the findings, errors first.
///
/// If there is no error, [`ImageList::parse`] accepts the list and all its images, and the list is current.
pub fn lint(payload: &[u8], request: &LintRequest<'_>) -> Vec<Finding> {
    let mut report = Report::default();
    let found = json::read(payload, None).and_then(parse::find_list);
    match found {
        Ok((place, list)) => list::check(&mut report, place, &list, request),
        Err(error) => report.refused(&error),
    }
    if let (Some(previous), Ok(list)) = (request.previous, ImageList::parse(payload)) {
        list::compare(&mut report, previous, &list);
    }
    report.findings.sort_by_key(|finding| finding.severity);
    report.findings
}

/// The findings so far.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, severity: Severity, path: String, message: impl Into<String>, advice: impl Into<String>) {
        self.findings.push(Finding { severity, path, message: message.into(), advice: advice.into() });
    }

    fn error(&mut self, path: String, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Error, path, message, advice);
    }

    fn warn(&mut self, path: String, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Warning, path, message, advice);
    }

    fn note(&mut self, path: String, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Notice, path, message, advice);
    }

    /// Adds an error for a member that is missing or not valid, if there is one.
    fn member(&mut self, place: &str, error: Option<FieldError>) {
        let Some(FieldError { key, fault }) = error else { return };
        let message = match fault {
            Fault::Missing(expected) => format!("expected {expected}, found no such key"),
            Fault::Unreadable(message) => message,
        };
        self.error(format!("{place}{key}"), message, keys::advice(key));
    }

    /// Adds the error for which the whole list is refused before its members can be checked.
    fn refused(&mut self, error: &ListError) {
        let (path, advice) = match error {
            ListError::Encoding { .. } => {
                ("top level", "write it in UTF-8 without a byte order mark: `iconv -t utf-8`")
            }
            ListError::NotJson { path, .. } => {
                (path.as_str(), "sign JSON in UTF-8 without a byte order mark; check it with `jq . FILE`")
            }
            ListError::DuplicateKey { path } => {
                (path.as_str(), "keep one of the two: readers differ in which they take")
            }
            ListError::TooLarge { .. } => ("top level", "split the list"),
            ListError::TooManyImages { path, .. } | ListError::TooManyValues { path, .. } => {
                (path.as_str(), "split the list")
            }
            ListError::TooDeep { path, .. } => (path.as_str(), "keep own data flat, in keys with a prefix of your own"),
            ListError::TextTooLong { path, .. } => (path.as_str(), "shorten it; link to long texts"),
            ListError::NotAList { .. } => ("top level", "put the list into {\"hv:imagelist\": {…}}"),
            ListError::Ambiguous { path } => (path.as_str(), "move it into hv:imagelist"),
            ListError::Missing { path, .. } | ListError::Field { path, .. } => (path.as_str(), "see docs/imagelist.md"),
        };
        let whole = error.to_string();
        let message = whole.strip_prefix(&format!("{path}: ")).unwrap_or(&whole).to_owned();
        self.error(path.to_owned(), message, advice);
    }
}

/// A list or an image: its path, and its members.
#[derive(Clone, Copy)]
struct Member<'o, 'a> {
    place: &'o str,
    object: &'o Object<'a>,
}

impl Member<'_, '_> {
    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.place)
    }
}

#[cfg(test)]
mod tests;
