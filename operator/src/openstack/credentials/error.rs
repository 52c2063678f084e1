//! Errors of the credentials in a Secret: names of entries, never their content. Pure.

use crate::text::printable;

/// Why the entries of a Secret are not usable credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// There is no entry of any method.
    #[error(
        "{place}: expected application_credential_id and application_credential_secret, or username and password with a \
         project, or in a Secret clouds.yaml; found {}",
        names(found)
    )]
    NoMethod {
        /// Where: the Secret, or a cloud in `clouds.yaml`.
        place: String,
        /// The names that are there.
        found: Vec<String>,
    },
    /// An entry is missing that the method needs.
    #[error("{place}: expected {expected} beside {beside}, found {}", names(found))]
    Missing {
        /// Where.
        place: String,
        /// The missing name, or several of which one is enough.
        expected: &'static str,
        /// The entry that needs it.
        beside: &'static str,
        /// The names that are there.
        found: Vec<String>,
    },
    /// Two entries exclude each other.
    #[error("{place}: expected {one} or {other}, found both: {why}")]
    Contradiction {
        /// Where.
        place: String,
        /// An entry.
        one: &'static str,
        /// Another one.
        other: &'static str,
        /// Why they exclude each other.
        why: &'static str,
    },
    /// An entry has no usable value.
    #[error("{place}: expected {expected} in {}, found {found}", printable(name))]
    Value {
        /// Where.
        place: String,
        /// The name of the entry.
        name: String,
        /// What was expected.
        expected: &'static str,
        /// The kind of what was found, not the value of a secret.
        found: String,
    },
    /// A cloud is chosen, but there is no `clouds.yaml`.
    #[error("expected clouds.yaml in the Secret, because the cloud {cloud:?} is chosen; found {}", names(found))]
    NoFile {
        /// The chosen cloud.
        cloud: String,
        /// The names of the entries.
        found: Vec<String>,
    },
    /// There is a `clouds.yaml` and an entry of a method too.
    #[error("expected clouds.yaml or the entries of one method in the Secret, found clouds.yaml and {also}")]
    Both {
        /// The entry.
        also: String,
    },
    /// `clouds.yaml` is not valid YAML.
    #[error("clouds.yaml, line {line}: {}", printable(message))]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// The error of the parser.
        message: String,
    },
    /// `clouds.yaml` has several clouds and none is chosen, or it does not have the chosen one.
    #[error("clouds.yaml: expected {expected}, found {}", names(found))]
    NoCloud {
        /// What was expected.
        expected: String,
        /// The names of the clouds.
        found: Vec<String>,
    },
    /// `clouds.yaml` is for another Keystone.
    #[error("{place}: expected auth_url {expected}, as configured, found {found}")]
    OtherAddress {
        /// Where.
        place: String,
        /// The configured address.
        expected: String,
        /// The address in `clouds.yaml`, without user information.
        found: String,
    },
    /// `clouds.yaml` has a setting that is not supported, and that must not be ignored.
    #[error("{place}: expected no {name}, found {found}: {instead}")]
    NotSupported {
        /// Where.
        place: String,
        /// The name of the setting.
        name: &'static str,
        /// The value or its kind.
        found: String,
        /// What to do instead.
        instead: &'static str,
    },
}

/// Names in a message.
fn names(found: &[String]) -> String {
    const MOST: usize = 12;
    let mut shown: Vec<String> = found.iter().take(MOST).map(|name| printable(name).into_owned()).collect();
    if found.len() > MOST {
        shown.push(format!("{} more", found.len() - MOST));
    }
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
}
