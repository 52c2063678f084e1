//! The `HEPiX` image list document: model, parse, validate, select. Pure: bytes in, values out.
//!
//! Nothing here knows who signed a list; that is `trust`. The newtypes are the only way a name, digest, version or
//! address out of a list travels through the program: each is checked once, when it is made, and has no `Deref<str>`.

mod date;
mod digest;
mod error;
mod field;
mod identifier;
mod json;
mod lint;
mod model;
mod parse;
mod render;
mod select;
mod source_url;
mod version;
mod wanted;
mod written;

pub use digest::{DigestError, Sha512Digest};
pub use error::ListError;
pub(crate) use identifier::is_object_name;
pub use identifier::{IdentifierError, ImageId};
pub use lint::{Finding, LintRequest, Severity, lint};
pub use model::{ImageList, ImageRefusal, ListedImage, NamedEndorser, RefusedImage};
pub use select::{ExcludedBy, ImageMatch, Selected, Selection, SelectionError};
pub use source_url::{SourceUrl, SourceUrlError};
pub use version::{ListVersion, VersionError};
pub use wanted::{LeftOut, Wanted};

/// The most bytes that a list may have.
pub const MAXIMUM_BYTES: usize = 64 << 20;

/// The most images that a list may have.
pub const MAXIMUM_IMAGES: usize = 50_000;

/// How deep objects and arrays may stand in each other; an ordinary list needs 5.
pub const MAXIMUM_DEPTH: usize = 16;

/// The most bytes of one text or key.
pub const MAXIMUM_TEXT: usize = 64 << 10;

/// The most JSON values in all: 32 for each of the most images; an image of today's largest publisher has 24.
/// Without it, a list of the largest size could hold 32 million numbers in a key that nobody reads.
pub const MAXIMUM_VALUES: usize = 32 * MAXIMUM_IMAGES;

/// The most JSON values that are held at once: those of one image, and of all of the list that is no image. An ordinary
/// list holds some dozens.
pub const MAXIMUM_HELD: usize = 64 << 10;
