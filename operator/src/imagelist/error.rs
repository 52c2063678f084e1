//! Why a whole list is refused.

use crate::api::Class;

/// Why bytes are not an image list. A bad image is not an error: only that image is refused, in
/// [`super::ImageList::refused`].
///
/// `path` is the place, from the top of the document: `hv:imagelist.hv:images[3].hv:image` (counted from 0).
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
        /// Where parsing stopped.
        path: String,
        /// The parser's message, with line and column.
        message: String,
    },
    /// JSON in an encoding other than UTF-8, or with a byte order mark (RFC 8259 section 8.1).
    #[error("top level: expected JSON in UTF-8 without a byte order mark, found {found}")]
    Encoding {
        /// What was found.
        found: &'static str,
    },
    /// A key occurs twice in one object. Readers could differ in which one they use.
    #[error("{path}: expected each key once in its object, found this one again")]
    DuplicateKey {
        /// The second occurrence.
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
    /// A string or key longer than [`super::MAXIMUM_TEXT`].
    #[error("{path}: expected texts of at most {limit} bytes, found one of {found}")]
    TextTooLong {
        /// The string, or the object with the key.
        path: String,
        /// The limit, in bytes.
        limit: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// More values than [`super::MAXIMUM_VALUES`] in all, or more than [`super::MAXIMUM_HELD`] in memory.
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
    /// A key of the list is both in `hv:imagelist` and beside it.
    #[error("{path}: expected this key inside hv:imagelist only, found it beside hv:imagelist too")]
    Ambiguous {
        /// The key beside `hv:imagelist`.
        path: String,
    },
    /// A key that every list must have.
    #[error("{path}: expected {expected}, found no such key")]
    Missing {
        /// The key.
        path: String,
        /// The kind of value that was expected.
        expected: &'static str,
    },
    /// A value of the list that is not valid.
    #[error("{path}: {message}")]
    Field {
        /// The key.
        path: String,
        /// `expected …, found …`.
        message: String,
    },
}

impl ListError {
    /// The error class: the next fetch may return a valid list.
    pub const fn class(&self) -> Class {
        Class::Waiting
    }

    /// The reason in conditions, events and metrics.
    pub const fn reason(&self) -> &'static str {
        "ListMalformed"
    }
}
