//! Moving in: what vmcatcher, cloudkeeper and atrope have stored becomes manifests, and their images become blobs.
//!
//! * [`vmcatcher`] reads a database of any age of its schema. [`cloudkeeper`] and [`atrope`] read configuration files.
//! * An [`Imported`] has the manifests, and an [`Outcome`] for each row or entry that was found: nothing is lost without a
//!   word.
//! * [`seed`] puts the images of an old cache on the volume, by the digests that were computed from their bytes.
//!
//! What is read is hostile: it is bounded, and texts become fields of manifests only after they were parsed. Trust is not
//! moved: a list counts only after it was fetched and verified again.

pub mod atrope;
pub mod cloudkeeper;
mod error;
mod list;
mod manifest;
mod opennebula;
mod outcome;
pub mod seed;
mod source;
mod text_file;
pub mod vmcatcher;

pub use error::ImportError;
pub use manifest::{Imported, Manifest};
pub use opennebula::OpenNebulaHint;
pub use outcome::{Fate, Outcome, grouped};
