//! The operator's configuration file: text in, checked settings or all of its problems out. Pure.
//!
//! The file is one YAML document. Fields that are not known are refused, so that a typing mistake is not a setting that
//! has no effect. Each problem has its line, its path, and what was expected and found. Texts that can be secrets are in
//! no message. docs/configuration.md describes all fields.

mod address;
mod exec;
mod faults;
mod filter;
mod node;
mod receivers;
mod scalar;
mod sinks;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use serde_json::Value;

use self::faults::{Fault, Faults};
use self::node::Node;
use self::scalar::size;
use self::sinks::sinks;
use super::settings::EventSettings;
use crate::text::one_line;
use crate::yaml::{Document, documents, find, shown};

/// The largest file, in bytes.
pub const LARGEST: usize = 1 << 20;
/// The limit of the spool by default, in bytes.
const SPOOL_LIMIT: u64 = 256 << 20;
/// The least limit of the spool, in bytes.
const LEAST_SPOOL_LIMIT: u64 = 1 << 20;
/// The most characters of a message, which may repeat parts of the file.
const LONGEST_MESSAGE: usize = 600;

/// What the configuration file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The events.
    pub events: EventSettings,
}

impl Default for Config {
    /// What an empty file says, and no file.
    fn default() -> Self {
        Self { events: EventSettings { spool_limit: SPOOL_LIMIT, sinks: Vec::new() } }
    }
}

/// Something wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// The line, counted from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// The path of the value, such as `events.sinks[1].amqp.url`; empty for the document.
    pub path: String,
    /// What was expected and what was found, without secrets.
    pub message: String,
}

impl ConfigProblem {
    fn of_file(message: &str) -> Self {
        Self { line: None, path: String::new(), message: one_line(message.as_bytes(), LONGEST_MESSAGE) }
    }

    fn in_line(line: usize, message: &str) -> Self {
        Self { line: Some(line), ..Self::of_file(message) }
    }

    /// The problem with its file, as compilers write it: `FILE:LINE: PATH: MESSAGE`.
    pub fn in_file(&self, file: &Path) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}: {}", file.display(), self.described())
    }

    fn described(&self) -> String {
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        format!("{path}{}", self.message)
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        write!(f, "{line}{}", self.described())
    }
}

/// Reads a configuration file. An empty one is valid, and configures nothing. Returns all problems, or the first of very
/// many, in the order of their lines.
pub fn parse(text: &str) -> Result<Config, Vec<ConfigProblem>> {
    if text.len() > LARGEST {
        let message = format!("expected a file of at most {LARGEST} bytes, found {}", text.len());
        return Err(vec![ConfigProblem::of_file(&message)]);
    }
    let (document, value) = document(text).map_err(|problem| vec![problem])?;
    let mut faults = Faults::default();
    let read = config(&Node::document(&value), &mut faults);
    let (found, more) = faults.end();
    let mut problems: Vec<_> = found.iter().map(|fault| problem(document, fault)).collect();
    problems.sort_by_key(|problem| problem.line);
    if more > 0 {
        problems.push(ConfigProblem::of_file(&format!("{more} more problems are not shown")));
    }
    match read {
        Some(config) if problems.is_empty() => Ok(config),
        Some(_) | None => Err(problems),
    }
}

/// The same for the bytes of a file. At most [`LARGEST`] bytes and one more need to be read.
pub fn parse_bytes(bytes: &[u8]) -> Result<Config, Vec<ConfigProblem>> {
    if bytes.len() > LARGEST {
        return Err(vec![ConfigProblem::of_file(&format!("expected a file of at most {LARGEST} bytes, found more"))]);
    }
    let text = str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + String::from_utf8_lossy(good).matches('\n').count();
        vec![ConfigProblem::in_line(line, "expected UTF-8, found other bytes")]
    })?;
    parse(text)
}

/// The one document of a file, without a byte order mark.
fn document(text: &str) -> Result<(Document<'_>, Value), ConfigProblem> {
    let mut documents = documents(text.strip_prefix('\u{feff}').unwrap_or(text));
    let first = documents.next().unwrap_or(Document { number: 1, line: 1, text: "" });
    if let Some(second) = documents.next() {
        return Err(ConfigProblem::in_line(second.line, "expected one document, found another; remove the ---"));
    }
    match first.value() {
        Ok(value) => Ok((first, value)),
        Err(error) => {
            let (line, message) = first.malformed(&error);
            Err(ConfigProblem::in_line(line, &message))
        }
    }
}

/// The problem of a fault. The search for its line takes as long as parsing.
fn problem(document: Document<'_>, fault: &Fault) -> ConfigProblem {
    let place = find(document.text, &fault.path, fault.at_key);
    let line = document.line + place.map_or(0, |place| place.line - 1);
    let path = one_line(shown(&fault.path).as_bytes(), LONGEST_MESSAGE);
    ConfigProblem { path, ..ConfigProblem::in_line(line, &fault.message) }
}

fn config(node: &Node<'_>, faults: &mut Faults) -> Option<Config> {
    let object = node.object(&["events"], faults)?;
    let Some(node) = object.field("events") else { return Some(Config::default()) };
    let events = node.object(&["spool", "sinks"], faults)?;
    let spool_limit = match events.field("spool") {
        Some(node) => spool_limit(&node, faults),
        None => Some(SPOOL_LIMIT),
    };
    let sinks = match events.field("sinks") {
        Some(node) => sinks(&node, faults),
        None => Some(Vec::new()),
    };
    Some(Config { events: EventSettings { spool_limit: spool_limit?, sinks: sinks? } })
}

fn spool_limit(node: &Node<'_>, faults: &mut Faults) -> Option<u64> {
    let object = node.object(&["limit"], faults)?;
    let Some(node) = object.field("limit") else { return Some(SPOOL_LIMIT) };
    let limit = size(&node, faults)?;
    if limit < LEAST_SPOOL_LIMIT {
        node.expected("at least 1Mi", faults);
        return None;
    }
    Some(limit)
}
