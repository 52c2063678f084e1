//! Signing policies: which subjects a CA may sign, as the IGTF distributes them. There are two kinds of files: EACL
//! (`*.signing_policy`, Globus) and `*.namespaces` (`EUGridPMA`).
//!
//! Within a file, the first statement that matches a subject decides. If any file denies the subject, it is denied;
//! otherwise one file that permits it is enough. A CA that no file names may sign nothing, if policies are required.
//! Patterns are matched against the whole one-line name, in which a slash inside a value is `\/`, so that no value can
//! look like several RDNs.

mod eacl;
mod statements;

use regex::Regex;

pub(super) use eacl::parse as parse_signing_policy;
pub(super) use statements::parse as parse_namespaces;

use super::DistinguishedName;
use super::name::canonical_attributes;

/// The maximum size of a policy file, in bytes. The largest files in use have 4 KiB.
const LARGEST: usize = 1 << 20;

/// The statements of one file, in order.
#[derive(Debug, Default)]
pub(super) struct PolicyFile(Vec<Statement>);

/// Permits or denies one issuer to sign these subjects.
#[derive(Debug)]
struct Statement {
    issuer: DistinguishedName,
    permits: bool,
    subjects: Vec<Pattern>,
}

/// All policies of a trust directory.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// Whether a CA without a policy may sign nothing (for a directory in IGTF layout) or anything (for a plain
    /// bundle).
    pub(super) required: bool,
    pub(super) files: Vec<PolicyFile>,
    /// The CAs whose policy file could not be parsed. They may sign nothing.
    pub(super) unusable: Vec<DistinguishedName>,
}

impl PolicyFile {
    /// The decision of this file about a subject: `Some(true)` permitted, `Some(false)` denied, `None` no statement.
    fn decides(&self, issuer: &DistinguishedName, spellings: &[String]) -> Option<bool> {
        let about = self.0.iter().filter(|statement| statement.issuer == *issuer);
        let fits = |pattern: &Pattern| spellings.iter().any(|subject| pattern.matches(subject));
        let mut speaking = about.filter(|statement| statement.subjects.iter().any(fits));
        speaking.next().map(|statement| statement.permits)
    }

    fn speaks_of(&self, issuer: &DistinguishedName) -> bool {
        self.0.iter().any(|statement| statement.issuer == *issuer)
    }
}

impl Policies {
    pub(super) fn asked(&self) -> bool {
        self.required || !self.files.is_empty() || !self.unusable.is_empty()
    }

    /// The reason why an issuer may not sign a subject; `None` if it may.
    pub(super) fn objection(&self, issuer: &DistinguishedName, subject: &DistinguishedName) -> Option<String> {
        if self.unusable.contains(issuer) {
            return Some(format!("expected a signing policy of {issuer}, found one that cannot be read"));
        }
        let spellings = subject.spellings();
        let said: Vec<bool> = self.files.iter().filter_map(|file| file.decides(issuer, &spellings)).collect();
        if said.contains(&false) {
            return Some(format!("the signing policy of {issuer} denies this subject"));
        }
        if said.contains(&true) {
            return None;
        }
        if self.files.iter().any(|file| file.speaks_of(issuer)) {
            return Some(format!("expected a subject that the signing policy of {issuer} permits, found another one"));
        }
        if !self.required {
            return None;
        }
        let found = format!("expected a signing policy of {issuer} in the trust directory, found none");
        Some(found)
    }
}

/// A pattern of subjects: a glob in EACL, a regular expression in namespaces. It is compiled only when it is used, because most patterns of a trust directory never are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// `*` matches any characters, `?` matches one; everything else is literal.
    Glob(String),
    /// A regular expression. Some files contain names that are not valid expressions (`CN=CA (old`) or that match
    /// something else (`CN=CA G3 [Run by the Issuer]`). So the pattern is also matched as a literal text, in which only
    /// `.*` matches any characters.
    Expression(String),
}

impl Pattern {
    fn glob(text: &str) -> Self {
        Self::Glob(canonical_attributes(text))
    }

    fn expression(text: &str) -> Self {
        Self::Expression(canonical_attributes(text))
    }

    /// Whether the pattern matches the whole of a one-line name.
    fn matches(&self, subject: &str) -> bool {
        let spaced = single_spaced(subject);
        match self {
            Self::Glob(text) => fits(&literal(text).replace(r"\*", ".*").replace(r"\?", "."), &spaced),
            Self::Expression(text) => fits(&literal(text).replace(r"\.\*", ".*"), &spaced) || fits(text, subject),
        }
    }
}

/// The expression that matches a text literally.
fn literal(text: &str) -> String {
    regex::escape(&single_spaced(text))
}

/// Replaces runs of spaces by one (RFC 5280 section 7.1). Some policy files have more spaces than the certificates.
fn single_spaced(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn fits(expression: &str, subject: &str) -> bool {
    let whole = format!("^(?s:{expression})$");
    expression.len() <= DistinguishedName::MAXIMUM_LENGTH && Regex::new(&whole).is_ok_and(|r| r.is_match(subject))
}

/// A word of a policy file, and whether it was in quotation marks. Words are separated by white space; one with white
/// space in it is in quotation marks. `#` begins a comment, and a backslash at the end of a line joins the next line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    /// Whether it is this keyword, regardless of case. A quoted word is never a keyword.
    fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// Splits a text into words. A quotation mark that is not closed is an error. Text in quotation marks is unchanged.
fn split(bytes: &[u8]) -> Result<Vec<Word>, String> {
    if bytes.len() > LARGEST {
        return Err(format!("{} bytes, expected at most {}", bytes.len(), LARGEST));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(words) };
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '#' => after.split_once('\n').map_or("", |(_, next)| next),
            '\\' if after.trim_start_matches([' ', '\t', '\r']).starts_with('\n') => after,
            '"' | '\'' => {
                let (inside, next) = after.split_once(first).ok_or("a quotation mark that is not closed")?;
                words.push(Word { text: inside.to_owned(), quoted: true });
                next
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(Word { text: rest[..end].to_owned(), quoted: false });
                &rest[end..]
            }
        };
    }
}

#[cfg(test)]
mod tests;
