//! What can go wrong with a cloud, as things a person can act on.

use std::time::Duration;

use super::xmlrpc::{Failure, ValueError};
use crate::api::Class;

/// Reasons of a `Published` condition that come from a cloud or from the plan for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The wanted version is there under its name.
    Published,
    /// Taken out of circulation, as asked.
    Retired,
    /// Being registered, or about to take the name.
    Importing,
    /// The cloud could not make an image of it; tried again with growing pauses.
    ImportFailed,
    /// The name belongs to an image that is not ours, or cannot be a name there.
    NameConflict,
    /// A user locked the present image.
    ImageLocked,
    /// The present image is persistent: it holds users' data.
    ImagePersistent,
    /// The cloud does not let us.
    NotAuthorized,
    /// An image that was named for adoption is not ours to take.
    AdoptionRefused,
    /// An image that goes out of circulation lacks something of it yet.
    RetirementIncomplete,
    /// The cloud does not answer, or not as OpenNebula.
    CloudUnreachable,
}

impl Reason {
    /// The text in conditions, events and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "Published",
            Self::Retired => "Retired",
            Self::Importing => "Importing",
            Self::ImportFailed => "ImportFailed",
            Self::NameConflict => "NameConflict",
            Self::ImageLocked => "ImageLocked",
            Self::ImagePersistent => "ImagePersistent",
            Self::NotAuthorized => "NotAuthorized",
            Self::AdoptionRefused => "AdoptionRefused",
            Self::RetirementIncomplete => "RetirementIncomplete",
            Self::CloudUnreachable => "CloudUnreachable",
        }
    }
}

/// A call that did not do what was asked. No variant holds the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OneError {
    /// The configuration of the connection cannot work.
    #[error("cannot connect to {endpoint} as configured: {message}")]
    Configuration {
        /// The endpoint, without user information.
        endpoint: String,
        /// What is wrong with it.
        message: String,
    },
    /// No connection, or it broke; in the latter case the call may have been carried out.
    #[error("{method}: no answer from {endpoint}: {message}")]
    Unreachable {
        /// The call.
        method: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// What the network said.
        message: String,
    },
    /// No answer in time: the call may have been carried out.
    #[error("{method}: expected an answer from {endpoint} within {} ms, found none", after.as_millis())]
    TimedOut {
        /// The call.
        method: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// How long was waited.
        after: Duration,
    },
    /// Not sent: another program may lead by now, and only one may change a cloud.
    #[error("{method}: not sent, for this program cannot be sure that it still leads")]
    NotLeading {
        /// The call.
        method: &'static str,
    },
    /// An HTTP status other than 200, or a body that is no XML-RPC answer.
    #[error("{method}: expected an XML-RPC answer from {endpoint}, found {found}")]
    NotOpenNebula {
        /// The call.
        method: &'static str,
        /// The endpoint, without user information.
        endpoint: String,
        /// What came.
        found: String,
    },
    /// An answer above its limit.
    #[error("{method}: expected an answer of at most {limit} bytes, found more")]
    TooLarge {
        /// The call.
        method: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The answer's document lacks what is needed.
    #[error("{method}: {source}")]
    Malformed {
        /// The call.
        method: &'static str,
        /// What is missing.
        source: ValueError,
    },
    /// The protocol failed: a method this server does not have, a parameter it does not take.
    #[error("{method}: fault {code}: {text}")]
    Fault {
        /// The call.
        method: &'static str,
        /// `faultCode`.
        code: i64,
        /// `faultString`.
        text: String,
    },
    /// User name and password are not taken (0x0100).
    #[error("the cloud does not accept the user name and password: {0}")]
    Authentication(String),
    /// The user may not do this (0x0200).
    #[error("the cloud does not allow it: {0}")]
    NotAuthorized(String),
    /// A quota of the owner is used up (0x0200).
    #[error("a quota is used up: {0}")]
    Quota(String),
    /// A user's lock on the image (0x0200, seen by administrators as such).
    #[error("the image is locked by a user: {0}")]
    Locked(String),
    /// No such object (0x0400).
    #[error("{text}")]
    NotFound {
        /// What the cloud says.
        text: String,
        /// What is missing.
        what: Object,
    },
    /// The name is held by another image of that owner (0x4000, 0x0800 or 0x2000, by call).
    #[error("the name is taken: {text}")]
    NameTaken {
        /// What the cloud says.
        text: String,
        /// The image that has it, where the cloud tells.
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
    /// The configuration names something the cloud does not have, or does not show us.
    #[error("expected the cloud to have, and to show us, a {what} named {name:?}, found none")]
    UnknownName {
        /// Of what kind.
        what: &'static str,
        /// As configured.
        name: String,
    },
    /// Anything else.
    #[error("the cloud refused it with code {code}: {text}")]
    Refused {
        /// The code.
        code: i64,
        /// What the cloud says.
        text: String,
    },
}

/// What a "not found" speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// An image.
    Image,
    /// A datastore.
    Datastore,
    /// A user.
    User,
    /// A group.
    Group,
    /// Something else.
    Other,
}

impl OneError {
    /// Sorts a refusal. The code alone does not tell (a taken name has three codes), so text is read too; where a text
    /// is not known, the code decides.
    pub fn from_failure(failure: Failure) -> Self {
        let Failure { text, code, object: _ } = failure;
        match code {
            0x0100 => Self::Authentication(text),
            0x0200 if text.contains(" is locked.") => Self::Locked(text),
            0x0200 if text.contains(" quota ") => Self::Quota(text),
            0x0200 => Self::NotAuthorized(text),
            0x0400 => Self::NotFound { what: missing(&text), text },
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

    /// How it is dealt with.
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
            // Gone between reading and writing: the next pass makes it anew.
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

    /// Whether the call may have been carried out, or still be.
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

    /// Whether the whole cloud is out of reach, so that the other images need not be tried.
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

/// `Error getting image [12].`, `Error getting user [4711].` and the like.
fn missing(text: &str) -> Object {
    let words = [
        ("getting image", Object::Image),
        ("getting datastore", Object::Datastore),
        ("getting user", Object::User),
        ("getting group", Object::Group),
    ];
    words.iter().find(|(words, _)| text.contains(words)).map_or(Object::Other, |(_, object)| *object)
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
