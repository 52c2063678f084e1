//! The `HEPiX` image list document: model, parse, validate, select. Pure: bytes in, values out.
//!
//! Nothing here depends on who signed a list; that is `trust`. Names, digests, versions and addresses from a list are
//! always newtypes: each is checked once, when it is made, and has no `Deref<str>`.

mod checksums;
mod date;
mod described;
mod error;
mod field;
mod format;
mod identifier;
mod json;
mod lint;
mod model;
pub mod oci;
mod parse;
mod rule_error;
mod select;
mod signed_files;
mod simplestreams;
mod source_url;
mod version;
mod written;

pub use checksums::ChecksumsRule;
pub(crate) use checksums::parse as parse_checksums;
pub use error::ListError;
pub use format::ListFormat;
pub(crate) use identifier::is_object_name;
pub use identifier::{IdentifierError, ImageId};
pub use lint::{Finding, LintRequest, Severity, lint};
pub use model::{ImageList, ImageRefusal, LearnedContent, LeftOut, ListedImage, NamedEndorser, RefusedImage};
pub use rule_error::RuleError;
pub use select::{ExcludedBy, ImageMatch, Selected, Selection, SelectionError, WantedImages};
pub use signed_files::{SignedFile, SignedFilesError, write as write_signed_files};
pub(crate) use signed_files::{is_signed_files, read as read_signed_files};
pub use simplestreams::{ProductsPath, SimpleStreamsRule};
pub(crate) use simplestreams::{Updated, parse as parse_simple_streams};
pub use source_url::{SourceUrl, SourceUrlError};
pub use version::{ListVersion, VersionError};

pub use crate::digest::{ContentDigest, DigestError, Sha512Digest};

/// The most bytes that a list may have.
pub const MAXIMUM_BYTES: usize = 64 << 20;

/// The most images that a list may have.
pub const MAXIMUM_IMAGES: usize = 50_000;

/// The deepest nesting of objects and arrays; a usual list has 5 levels.
pub const MAXIMUM_DEPTH: usize = 16;

/// The most bytes of one string or key.
pub const MAXIMUM_TEXT: usize = 64 << 10;

/// The most JSON values in a list: 32 for each of the most images; an image of the largest publisher today has 24.
/// Without this limit, a list of the largest size could hold 32 million numbers in a key that is not used.
pub const MAXIMUM_VALUES: usize = 32 * MAXIMUM_IMAGES;

/// The most JSON values in memory at the same time: those of one image, and those of the list outside of its images. A
/// usual list has some dozens.
pub const MAXIMUM_HELD: usize = 64 << 10;
