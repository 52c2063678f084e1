//! Errors of calls to a cloud.

use std::time::Duration;

use super::xmlrpc::{Failure, ValueError};
use crate::api::Class;
use crate::cloud::{CloudError, Reason};

/// The error of a call. No variant contains the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OneError {
    /// The configuration of the connection is invalid.
    #[error("cannot connect to {endpoint} as configured: {message}")]
    Configuration {
        /// The endpoint, without user information.
        endpoint: String,
        /// The error.
        message: String,
    },
    /// There is no connection, or it was interrupted. In the latter case the call may have been executed.
    #[error("{method}: no answer from {endpoint}: {message}")]
    Unreachable {
        /// The call.
        method: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// The network error.
        message: String,
    },
    /// No response in time. The call may have been executed.
    #[error("{method}: expected an answer from {endpoint} within {} ms, found none", after.as_millis())]
    TimedOut {
        /// The call.
        method: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// The timeout.
        after: Duration,
    },
    /// The call was not sent, because another instance may be the leader now, and only the leader may change a cloud.
    #[error("{0}: not sent, for this program cannot be sure that it still leads")]
    NotLeading(&'static str),
    /// An HTTP status other than 200, or a body that is not an XML-RPC response.
    #[error("{method}: expected an XML-RPC answer from {endpoint}, found {found}")]
    NotOpenNebula {
        /// The call.
        method: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// The response.
        found: String,
    },
    /// The response is larger than the limit.
    #[error("{method}: expected an answer of at most {limit} bytes, found more")]
    TooLarge {
        /// The call.
        method: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The document in the response lacks a required field.
    #[error("{method}: {source}")]
    Malformed {
        /// The call.
        method: &'static str,
        /// The error.
        source: ValueError,
    },
    /// An XML-RPC fault: the server does not have the method, or does not accept a parameter.
    #[error("{method}: fault {code}: {text}")]
    Fault {
        /// The call.
        method: &'static str,
        /// `faultCode`.
        code: i64,
        /// `faultString`.
        text: String,
    },
    /// The user name or password is wrong (0x0100).
    #[error("the cloud does not accept the user name and password: {0}")]
    Authentication(String),
    /// The user may not do this (0x0200).
    #[error("the cloud does not allow it: {0}")]
    NotAuthorized(String),
    /// A quota of the owner is exceeded (0x0200).
    #[error("a quota is used up: {0}")]
    Quota(String),
    /// A user locked the image (0x0200; the cloud reports this only to administrators).
    #[error("the image is locked by a user: {0}")]
    Locked(String),
    /// No such object (0x0400).
    #[error("{text}")]
    NotFound {
        /// The message of the cloud.
        text: String,
        /// The kind of the missing object.
        what: Object,
    },
    /// Another image of that owner has the name (0x4000, 0x0800 or 0x2000, depending on the call).
    #[error("the name is taken: {text}")]
    NameTaken {
        /// The message of the cloud.
        text: String,
        /// The image that has the name, if the cloud returns it.
        by: Option<u32>,
    },
    /// The datastore is full, or not yet measured (0x0800).
    #[error("the datastore has no room: {0}")]
    NoSpace(String),
    /// The cloud could not read the image's file or URL (0x2000).
    #[error("the cloud cannot read the image (the path must be as its front-end sees it): {0}")]
    Unreadable(String),
    /// The image's state does not allow the call now (0x0800 or 0x2000).
    #[error("not in the image's present state: {0}")]
    WrongState(String),
    /// The configuration names an object that the cloud does not have, or does not show to the operator's user.
    #[error("expected the cloud to have, and to show us, a {what} named {name:?}, found none")]
    UnknownName {
        /// The kind of the object.
        what: &'static str,
        /// The configured name.
        name: String,
    },
    /// Anything else.
    #[error("the cloud refused it with code {code}: {text}")]
    Refused {
        /// The code.
        code: i64,
        /// The message of the cloud.
        text: String,
    },
}

/// The kind of an object that was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// An image.
    Image,
    /// Something else.
    Other,
}

impl OneError {
    /// Classifies a failure. The code alone is not sufficient (a taken name has three codes), so the text is checked
    /// too. If the text is unknown, the code decides.
    pub fn from_failure(failure: Failure) -> Self {
        let Failure { text, code, object: _ } = failure;
        match code {
            0x0100 => Self::Authentication(text),
            0x0200 if text.contains(" is locked.") => Self::Locked(text),
            0x0200 if text.contains(" quota ") => Self::Quota(text),
            0x0200 => Self::NotAuthorized(text),
            0x0400 if text.contains("getting image") => Self::NotFound { what: Object::Image, text },
            0x0400 => Self::NotFound { what: Object::Other, text },
            _ if text.contains("is already taken by IMAGE") => Self::name_taken(text, "taken by IMAGE "),
            _ if text.contains("collides with image") => Self::name_taken(text, "collides with image "),
            _ if text.contains(" already owns image [") => Self::name_taken(text, " already owns image ["),
            0x0800 if text.contains("Not enough space") => Self::NoSpace(text),
            0x2000 if text.contains("Cannot parse image SIZE") => Self::Unreadable(text),
            _ if wrong_state(&text) => Self::WrongState(text),
            _ => Self::Refused { code, text },
        }
    }

    fn name_taken(text: String, before: &str) -> Self {
        let after = text.split(before).nth(1).unwrap_or_default();
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        Self::NameTaken { by: digits.parse().ok(), text }
    }

    /// The class for the driver.
    pub fn class(&self) -> Class {
        match self {
            Self::Configuration { .. }
            | Self::Authentication(_)
            | Self::NotAuthorized(_)
            | Self::UnknownName { .. }
            | Self::Fault { .. } => Class::Stalled,
            Self::Locked(_) | Self::NameTaken { .. } | Self::WrongState(_) => Class::Waiting,
            Self::Unreachable { .. }
            | Self::NotLeading { .. }
            | Self::TimedOut { .. }
            | Self::NotOpenNebula { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Quota(_)
            | Self::NotFound { .. }
            | Self::NoSpace(_)
            | Self::Unreadable(_)
            | Self::Refused { .. } => Class::Transient,
        }
    }

    /// The reason in the `Published` condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Authentication(_) | Self::NotAuthorized(_) => Reason::NotAuthorized,
            Self::Locked(_) => Reason::ImageLocked,
            Self::NameTaken { .. } => Reason::NameConflict,
            // The image was removed between reading and writing. The next pass makes it again.
            Self::WrongState(_) | Self::NotFound { what: Object::Image, .. } => Reason::Importing,
            Self::Configuration { .. }
            | Self::Unreachable { .. }
            | Self::NotLeading { .. }
            | Self::TimedOut { .. }
            | Self::NotOpenNebula { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Fault { .. } => Reason::CloudUnreachable,
            Self::Quota(_)
            | Self::NotFound { .. }
            | Self::NoSpace(_)
            | Self::Unreadable(_)
            | Self::UnknownName { .. }
            | Self::Refused { .. } => Reason::ImportFailed,
        }
    }

    /// Whether the call may have been executed, or may still be.
    pub fn may_be_done(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::NotOpenNebula { .. }
                | Self::TooLarge { .. }
                | Self::Malformed { .. }
        )
    }

    /// Whether the whole cloud is unreachable, so that the other images need not be tried.
    pub fn ends_the_pass(&self) -> bool {
        matches!(
            self,
            Self::Configuration { .. }
                | Self::Authentication(_)
                | Self::Unreachable { .. }
                | Self::NotLeading { .. }
                | Self::NotOpenNebula { .. }
        )
    }
}

impl From<OneError> for CloudError {
    fn from(error: OneError) -> Self {
        let reason = match &error {
            OneError::UnknownName { what: "datastore", .. } => "DatastoreNotFound",
            error => error.reason().as_str(),
        };
        let is_refused = error.reason() == Reason::NotAuthorized;
        Self { reason, class: error.class(), is_refused, message: error.to_string() }
    }
}

fn wrong_state(text: &str) -> bool {
    ["cannot be in state", "VMs using it", "Image locked, use --force", "in state: "]
        .iter()
        .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_is_one_error_whatever_its_code() {
        for (code, text, by) in [
            (16384, "[one.image.allocate] Error allocating a new image. NAME is already taken by IMAGE 17.", 17),
            (2048, "[one.image.rename] image cannot be renamed to x because it collides with image 63", 63),
            (8192, "[one.image.chown] user [2] already owns image [95] with NAME dcid-1", 95),
        ] {
            let error = OneError::from_failure(Failure { text: text.to_owned(), code, object: None });
            assert!(matches!(error, OneError::NameTaken { by: Some(id), .. } if id == by), "{error:?}");
            assert_eq!(error.reason().as_str(), "NameConflict");
        }
    }

    #[test]
    fn refusals_are_sorted() {
        let cases = [
            (256, "[x] User couldn't be authenticated, aborting call.", Reason::NotAuthorized, Class::Stalled),
            (512, "[x] User [2] : Not authorized to perform MANAGE IMAGE [5].", Reason::NotAuthorized, Class::Stalled),
            (512, "[x] User [0] : IMAGE is locked. [93].", Reason::ImageLocked, Class::Waiting),
            (
                512,
                "[x] User [2] : user [2] limit of 4 reached for IMAGES quota in DATASTORE with ID: 1.",
                Reason::ImportFailed,
                Class::Transient,
            ),
            (1024, "[x] Error getting user [5].", Reason::ImportFailed, Class::Transient),
            (2048, "[x] Not enough space in datastore", Reason::ImportFailed, Class::Transient),
            (2048, "[x] Cannot delete image. There are 1 VMs using it.", Reason::Importing, Class::Waiting),
            (8192, "[x] Could not disable image: Image cannot be in state USED.", Reason::Importing, Class::Waiting),
            (
                8192,
                "[x] Cannot parse image SIZE: cannot access 'p' (No such file or directory)",
                Reason::ImportFailed,
                Class::Transient,
            ),
            (4096, "[x] Wrong update type", Reason::ImportFailed, Class::Transient),
        ];
        for (code, text, reason, class) in cases {
            let error = OneError::from_failure(Failure { text: text.to_owned(), code, object: None });
            assert_eq!((error.reason(), error.class()), (reason, class), "{text}");
        }
    }
}
