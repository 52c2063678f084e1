//! Signing policies: which subjects a CA may sign, as the IGTF distributes them. There are two kinds of files: EACL
//! (`*.signing_policy`, Globus) and `*.namespaces` (`EUGridPMA`).
//!
//! Within a file, the first statement that matches a subject decides. If any file denies the subject, it is denied;
//! otherwise one file that permits it is enough. A CA that no file names may sign nothing, if policies are required.
//! Patterns are matched against the whole one-line name, in which a slash inside a value is `\/`, so that no value can
//! look like several RDNs.

mod eacl;
mod pattern;
mod statements;
mod words;

pub(super) use eacl::parse as parse_signing_policy;
use pattern::Pattern;
pub(super) use statements::parse as parse_namespaces;

use super::DistinguishedName;

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

#[cfg(test)]
mod tests;
