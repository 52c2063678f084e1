//! Reads members of a JSON object as checked values.

use jiff::Timestamp;

use super::json::{Node, Object, describe_text};
use super::{ImageId, ListVersion, Sha512Digest, SourceUrl, date};

/// A member that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    /// The key.
    pub(super) key: &'static str,
    /// What is wrong with it.
    pub(super) fault: Fault,
}

/// What is wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The key does not exist; the kind of value that was expected.
    Missing(&'static str),
    /// The value is not valid: `expected …, found …`.
    Unreadable(String),
}

impl FieldError {
    /// The message for a refused image: the key, what was expected and what was found.
    pub(super) fn message(&self) -> String {
        match &self.fault {
            Fault::Missing(expected) => format!("{}: expected {expected}, found no such key", self.key),
            Fault::Unreadable(message) => format!("{}: {message}", self.key),
        }
    }
}

/// A kind of value: its name for messages, and its parser.
pub(super) struct Kind<T> {
    name: &'static str,
    read: fn(&Node<'_>) -> Result<T, String>,
}

pub(super) const TEXT: Kind<String> = Kind { name: "text", read: text };
pub(super) const DATE: Kind<Timestamp> = Kind { name: "an RFC 3339 date", read: |node| date::read(&text(node)?) };
pub(super) const SIZE: Kind<u64> = Kind { name: "a size in bytes", read: size };
pub(super) const IDENTIFIER: Kind<ImageId> = Kind { name: "an identifier", read: parsed };
pub(super) const VERSION: Kind<ListVersion> = Kind { name: "a version", read: parsed };
pub(super) const DIGEST: Kind<Sha512Digest> = Kind { name: "a sha512", read: parsed };
pub(super) const IMAGE_URL: Kind<SourceUrl> = Kind { name: "an http or https URL", read: image_url };

/// Takes a member, which must exist.
pub(super) fn required<T>(object: &mut Object<'_>, key: &'static str, kind: &Kind<T>) -> Result<T, FieldError> {
    match object.take(key) {
        None => Err(FieldError { key, fault: Fault::Missing(kind.name) }),
        Some(node) => (kind.read)(&node).map_err(|message| FieldError { key, fault: Fault::Unreadable(message) }),
    }
}

/// Takes a member that may be absent or `null`.
pub(super) fn optional<T>(object: &mut Object<'_>, key: &'static str, kind: &Kind<T>) -> Result<Option<T>, FieldError> {
    match object.take(key) {
        None | Some(Node::Null) => Ok(None),
        Some(node) => {
            (kind.read)(&node).map(Some).map_err(|message| FieldError { key, fault: Fault::Unreadable(message) })
        }
    }
}

/// What is wrong with a member. The member is not taken.
pub(super) fn fault<T>(object: &Object<'_>, key: &'static str, kind: &Kind<T>) -> Option<FieldError> {
    match object.get(key) {
        None => Some(FieldError { key, fault: Fault::Missing(kind.name) }),
        Some(node) => (kind.read)(node).err().map(|message| FieldError { key, fault: Fault::Unreadable(message) }),
    }
}

/// The value of a member, if it is valid.
pub(super) fn value<T>(object: &Object<'_>, key: &str, kind: &Kind<T>) -> Option<T> {
    (kind.read)(object.get(key)?).ok()
}

/// A text. A number is read as its digits, because some publishers write versions as numbers.
pub(super) fn text(node: &Node<'_>) -> Result<String, String> {
    match node {
        Node::Text(text) => Ok(text.clone().into_owned()),
        Node::Number(number) => Ok(number.to_string()),
        Node::Null | Node::Bool(_) | Node::Array(_) | Node::Object(_) | Node::Images => {
            Err(format!("expected text, found {}", node.describe()))
        }
    }
}

/// A size as a number or a text of digits, from 1 to the largest size of a file.
fn size(node: &Node<'_>) -> Result<u64, String> {
    let number = match node {
        Node::Number(number) => number.value.as_u64(),
        Node::Text(text) if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().ok(),
        Node::Text(_) | Node::Null | Node::Bool(_) | Node::Array(_) | Node::Object(_) | Node::Images => None,
    };
    let file_size = number.filter(|size| (1..=i64::MAX.unsigned_abs()).contains(size));
    file_size.ok_or_else(|| format!("expected a whole number of bytes, at least 1, found {}", node.describe()))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(node: &Node<'_>) -> Result<T, String> {
    text(node)?.parse().map_err(|error: T::Err| error.to_string())
}

fn image_url(node: &Node<'_>) -> Result<SourceUrl, String> {
    let text = text(node)?;
    let url: SourceUrl = text.parse().map_err(|error: super::SourceUrlError| error.to_string())?;
    if url.is_remote() { Ok(url) } else { Err(format!("expected http or https, found {}", describe_text(&text))) }
}
