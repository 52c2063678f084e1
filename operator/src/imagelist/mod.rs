//! The `HEPiX` image list document: model, parse, validate, select. Pure: bytes in, values out.
//!
//! Nothing here knows who signed a list; that is `trust`. The newtypes are the only way a name, digest, version or
//! address out of a list travels through the program: each is checked once, when it is made, and has no `Deref<str>`.

mod digest;
mod identifier;
mod model;
mod source_url;
mod version;

pub use digest::{DigestError, Sha512Digest};
pub use identifier::{IdentifierError, ImageId};
pub use model::{ImageList, ImageRefusal, ListedImage, NamedEndorser, RefusedImage};
pub use source_url::{SourceUrl, SourceUrlError};
pub use version::{ListVersion, VersionError};
