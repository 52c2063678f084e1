//! What can be wrong with a spec.

use std::fmt::Display;

use url::Url;

use crate::api::Class;
use crate::imagelist::SourceUrl;

/// A spec that cannot work until a person changes it: the object is `Stalled`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {message}")]
pub struct SpecError {
    /// Which field, from `spec.` on.
    pub field: String,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the value is one that a newer version may know.
    pub unsupported: bool,
}

impl SpecError {
    /// A value that is not of the form it must have.
    pub fn invalid(field: impl Into<String>, message: &(impl Display + ?Sized)) -> Self {
        Self { field: field.into(), message: message.to_string(), unsupported: false }
    }

    /// A value that this version does not know.
    pub fn unsupported(field: impl Into<String>, expected: &str) -> Self {
        let message = format!("expected {expected}, found a value that this version does not know");
        Self { field: field.into(), message, unsupported: true }
    }

    /// Always [`Class::Stalled`].
    pub fn class(&self) -> Class {
        Class::Stalled
    }

    /// The condition reason.
    pub fn reason(&self) -> &'static str {
        if self.unsupported { "UnsupportedValue" } else { "InvalidSpec" }
    }
}

/// An http or https address in a field; `instead` says what takes the place of user information. The address is not
/// repeated in the message: it may hold what it must not.
pub(super) fn http_address(field: &str, text: &str, instead: &str) -> Result<Url, SpecError> {
    let url: Url = text.parse().map_err(|error| SpecError::invalid(field, &error))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(SpecError::invalid(field, "expected an http or https address with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = format!("expected no user:password@ ({instead}), found one");
        return Err(SpecError::invalid(field, &message));
    }
    match text.parse::<SourceUrl>() {
        Ok(address) => Ok(address.url().clone()),
        Err(error) => Err(SpecError::invalid(field, &error)),
    }
}

/// Refuses a change of a field that identifies what the object is about.
pub(super) fn unchanged<T: PartialEq + std::fmt::Debug>(field: &str, old: &T, new: &T) -> Result<(), String> {
    if old == new {
        return Ok(());
    }
    Err(format!("spec.{field} cannot change: expected {old:?}, found {new:?}; make another object instead"))
}
