//! Signing policies: which subjects a CA may sign, as the IGTF distributes it. Two kinds of file say it: EACL
//! (`*.signing_policy`, Globus) and `*.namespaces` (`EUGridPMA`).
//!
//! Within a file the first statement that speaks of a subject decides. Over all files that speak of an issuer, one that
//! denies decides; else one that permits is enough; a CA of whom no file speaks may sign nothing. Patterns are matched
//! against the whole one-line name, in which a slash inside a value is `\/`, so that no value can pose as RDNs.

mod eacl;
mod pattern;
mod statements;
mod words;

pub(super) use eacl::parse as parse_signing_policy;
use pattern::Pattern;
pub(super) use statements::parse as parse_namespaces;

use super::certificate::Certificate;
use super::chain::Path;
use super::{Anchors, DistinguishedName, Refusal, RefusalReason};

/// The largest policy file, in bytes; the largest of the field has 4 KiB.
const LARGEST: usize = 1 << 20;

/// What one file says, in its order.
#[derive(Debug, Default)]
pub(super) struct PolicyFile(Vec<Statement>);

/// One issuer may, or may not, sign these subjects.
#[derive(Debug)]
struct Statement {
    issuer: DistinguishedName,
    permits: bool,
    subjects: Vec<Pattern>,
}

/// All policies of a trust directory.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// Whether a CA without a policy may sign nothing (the directory is in IGTF layout), or anything (a plain bundle).
    pub(super) required: bool,
    pub(super) files: Vec<PolicyFile>,
    /// The CAs whose policy file could not be read: nobody knows what they may sign.
    pub(super) unusable: Vec<DistinguishedName>,
}

impl PolicyFile {
    /// What this file says of a subject: `Some(true)` permitted, `Some(false)` denied, `None` nothing.
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
    fn asked(&self) -> bool {
        self.required || !self.files.is_empty() || !self.unusable.is_empty()
    }

    /// Why an issuer may not sign a subject.
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

/// Asks the policy of each certificate's issuer, from the signer up. The anchor was put there by a person and is not
/// asked about itself. Gives what was found, or `None` where there are no policies at all.
pub(super) fn check(path: &Path, anchors: &Anchors) -> Result<Option<String>, Refusal> {
    let policies = anchors.policies();
    if !policies.asked() {
        return Ok(None);
    }
    let below_anchor = path.certificates().len().saturating_sub(1);
    for (depth, certificate, issuer) in path.issued().take(below_anchor) {
        if let Some(why) = policies.objection(&issuer.subject, &certificate.subject) {
            return Err(Refusal::new(RefusalReason::NamespaceViolation, why).about(certificate.shown(), depth));
        }
    }
    let issuers = path.certificates().iter().skip(1).map(Certificate::shown).collect::<Vec<_>>();
    Ok(Some(if issuers.is_empty() { "the signer is an anchor itself".to_owned() } else { issuers.join(", ") }))
}

#[cfg(test)]
mod tests;
