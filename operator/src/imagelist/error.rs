//! Why a whole list is refused.

use crate::api::Class;

/// Why bytes are no image list. One bad image is no error: it is refused alone, in [`super::ImageList::refused`].
///
/// `path` says where, from the top of the document: `hv:imagelist.hv:images[3].hv:image` (counted from 0).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// More bytes than [`super::MAXIMUM_BYTES`].
    #[error("expected an image list of at most {limit} bytes, found {found}")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The size found, in bytes.
        found: usize,
    },
    /// Not JSON (RFC 8259), or bytes after its end.
    #[error("{path}: expected JSON, found an error: {message}")]
    NotJson {
        /// Where reading stopped.
        path: String,
        /// The parser's words, with line and column.
        message: String,
    },
    /// JSON in another encoding than UTF-8, or with a byte order mark (RFC 8259 section 8.1).
    #[error("top level: expected JSON in UTF-8 without a byte order mark, found {found}")]
    Encoding {
        /// What was found.
        found: &'static str,
    },
    /// A key stands twice in one object: two readers could see two lists.
    #[error("{path}: expected each key once in its object, found this one again")]
    DuplicateKey {
        /// The second one.
        path: String,
    },
    /// Objects and arrays nested more than [`super::MAXIMUM_DEPTH`] deep.
    #[error("{path}: expected objects and arrays at most {limit} deep, found deeper ones")]
    TooDeep {
        /// The first one that is too deep.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// A text or key longer than [`super::MAXIMUM_TEXT`].
    #[error("{path}: expected texts of at most {limit} bytes, found one of {found}")]
    TextTooLong {
        /// The text, or the object that holds the key.
        path: String,
        /// The limit, in bytes.
        limit: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// More values in all than [`super::MAXIMUM_VALUES`].
    #[error("{path}: expected at most {limit} values in the list, found more")]
    TooManyValues {
        /// The first one too many.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// More images than [`super::MAXIMUM_IMAGES`].
    #[error("{path}: expected at most {limit} images, found more")]
    TooManyImages {
        /// The first one too many.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// JSON, but neither an object with `hv:imagelist` nor the older flat form.
    #[error(
        "expected an object with hv:imagelist (or the older flat form, which holds dc:identifier and hv:images \
         itself), found {found}"
    )]
    NotAList {
        /// The kind of value, or the first keys.
        found: String,
    },
    /// A key of the list stands both in `hv:imagelist` and beside it.
    #[error("{path}: expected this key inside hv:imagelist only, found it beside hv:imagelist too")]
    Ambiguous {
        /// The key beside.
        path: String,
    },
    /// A key that every list must have.
    #[error("{path}: expected {expected}, found no such key")]
    Missing {
        /// The key.
        path: String,
        /// What its value would be.
        expected: &'static str,
    },
    /// A value of the list itself that cannot be read.
    #[error("{path}: {message}")]
    Field {
        /// The key.
        path: String,
        /// `expected …, found …`.
        message: String,
    },
}

impl ListError {
    /// Waits for the publisher: the next fetch may bring a list that holds.
    pub const fn class(&self) -> Class {
        Class::Waiting
    }

    /// The reason in conditions, events and metrics.
    pub const fn reason(&self) -> &'static str {
        "ListMalformed"
    }
}
