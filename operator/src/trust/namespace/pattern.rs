//! Patterns of subjects: globs in EACL, regular expressions in namespaces.

use regex::Regex;

use crate::trust::DistinguishedName;
use crate::trust::name::canonical_attributes;

/// A pattern. It is compiled only when it is used, because most patterns of a trust directory never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `*` matches any characters, `?` matches one; everything else is literal.
    Glob(String),
    /// A regular expression. Some files contain names that are not valid expressions (`CN=CA (old`) or that match
    /// something else (`CN=CA G3 [Run by the Issuer]`). So the pattern is also matched as a literal text, in which only
    /// `.*` matches any characters.
    Expression(String),
}

impl Pattern {
    pub(super) fn glob(text: &str) -> Self {
        Self::Glob(canonical_attributes(text))
    }

    pub(super) fn expression(text: &str) -> Self {
        Self::Expression(canonical_attributes(text))
    }

    /// Whether the pattern matches the whole of a one-line name.
    pub(super) fn matches(&self, subject: &str) -> bool {
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
