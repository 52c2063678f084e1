//! Why a source in a spec cannot be used.

use super::SourceUrl;
use crate::api::Class;

/// A field of a source that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RuleError {
    path: String,
    message: String,
}

impl RuleError {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// Reads an address, which must be http or https.
    pub(super) fn url(path: &str, text: &str) -> Result<SourceUrl, Self> {
        let url: SourceUrl = text.parse().map_err(|error: super::SourceUrlError| Self::new(path, error.to_string()))?;
        if url.is_remote() { Ok(url) } else { Err(Self::new(path, "expected http or https, found file")) }
    }

    /// The field in the spec: `source.checksums.url`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected and what was found.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The error class: the spec must be changed.
    pub const fn class(&self) -> Class {
        Class::Stalled
    }
}
