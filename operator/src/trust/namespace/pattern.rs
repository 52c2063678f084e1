//! Patterns of subjects: globs in EACL, regular expressions in namespaces.

use regex::Regex;

use crate::trust::DistinguishedName;
use crate::trust::name::canonical_attributes;

/// A pattern; it is compiled when it is asked, for hardly one of a directory ever is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `*` any characters, `?` one; everything else for itself.
    Glob(String),
    /// A regular expression. Where its characters do not make one (`CN=CA (old`), and where they say something else than
    /// they mean (`CN=CA G3 [Run by the Issuer]`), the text for itself is good, too, with `.*` for any characters.
    Expression(String),
}

impl Pattern {
    pub(super) fn glob(text: &str) -> Self {
        Self::Glob(canonical_attributes(text))
    }

    pub(super) fn expression(text: &str) -> Self {
        Self::Expression(canonical_attributes(text))
    }

    /// Whether the whole of a one-line name fits.
    pub(super) fn matches(&self, subject: &str) -> bool {
        let spaced = single_spaced(subject);
        match self {
            Self::Glob(text) => fits(&literal(text).replace(r"\*", ".*").replace(r"\?", "."), &spaced),
            Self::Expression(text) => fits(&literal(text).replace(r"\.\*", ".*"), &spaced) || fits(text, subject),
        }
    }
}

/// The expression that takes a text for itself.
fn literal(text: &str) -> String {
    regex::escape(&single_spaced(text))
}

/// RFC 5280 section 7.1: runs of spaces count as one. Policy files have more than the certificates they speak of.
fn single_spaced(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn fits(expression: &str, subject: &str) -> bool {
    let whole = format!("^(?s:{expression})$");
    expression.len() <= DistinguishedName::MAXIMUM_LENGTH && Regex::new(&whole).is_ok_and(|r| r.is_match(subject))
}
