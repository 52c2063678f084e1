//! Errors of specs, and checks that several kinds share.

use std::fmt::Display;

use jiff::SignedDuration;
use kube::ResourceExt;
use url::Url;

use super::conditions::shorten;
use crate::api::{self, Class, DeletionPolicy, FLUX_REQUESTED_AT, ObjectReference, REFRESH_REQUESTED_AT, REQUESTED_AT};
use crate::cache::retention::Retention;
use crate::duration::parse_duration;
use crate::imagelist::SourceUrl;

/// An error in a spec. The object is `Stalled` until a user changes the spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {message}")]
pub struct SpecError {
    /// The path of the field below `spec`.
    pub field: String,
    /// What was expected and what was found.
    pub message: String,
    /// Whether this version does not know the value, but a newer one may.
    pub unsupported: bool,
}

impl SpecError {
    /// A value with a wrong form.
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

/// Parses the http or https address of a field. `instead` is the hint for an address that contains user information.
/// The message does not repeat the address, because it may contain a secret.
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

/// Whether a deletion policy is `Retire`.
pub(super) fn retire(field: &str, policy: DeletionPolicy) -> Result<bool, SpecError> {
    match policy {
        DeletionPolicy::Orphan => Ok(false),
        DeletionPolicy::Retire => Ok(true),
        DeletionPolicy::Unknown => Err(SpecError::unsupported(field, "Orphan or Retire")),
    }
}

/// The maximum length of a request in a status, in bytes.
const LONGEST_REQUEST: usize = 120;

/// The request of a user for a pass now: the annotation of the command `refresh`, and our annotation or else Flux's.
/// `None` if there is none.
pub(super) fn requested_at(object: &impl ResourceExt) -> Option<String> {
    let said = |name: &str| object.annotations().get(name).filter(|value| !value.is_empty());
    let annotation = said(REQUESTED_AT).or_else(|| said(FLUX_REQUESTED_AT));
    // A new value of either annotation is a new request.
    let asked: Vec<&str> = said(REFRESH_REQUESTED_AT).into_iter().chain(annotation).map(String::as_str).collect();
    (!asked.is_empty()).then(|| shorten(&asked.join(" "), LONGEST_REQUEST))
}

/// How long replaced versions are kept. `field` is the path of the field below `spec`.
pub(super) fn retention(field: &str, retention: &api::Retention) -> Result<Retention, SpecError> {
    let keep_for =
        parse_duration(&retention.keep_for).map_err(|error| SpecError::invalid(format!("{field}.keepFor"), &error))?;
    if retention.keep_versions > 10 {
        let message = format!("expected at most 10, found {}", retention.keep_versions);
        return Err(SpecError::invalid(format!("{field}.keepVersions"), &message));
    }
    let keep_for = SignedDuration::try_from(keep_for).unwrap_or(SignedDuration::MAX);
    Ok(Retention { keep_versions: retention.keep_versions as usize, keep_for })
}

/// The names of the referenced targets, sorted. Fails if there are more than 8, or if one occurs twice.
pub(super) fn targets(references: &[ObjectReference]) -> Result<Vec<String>, SpecError> {
    let mut names: Vec<String> = references.iter().map(|reference| reference.name.clone()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    if count <= 8 && names.len() == count {
        return Ok(names);
    }
    let message = format!("expected at most 8 CloudTargets, each once, found {count} with {} names", names.len());
    Err(SpecError::invalid("targetRefs", &message))
}
