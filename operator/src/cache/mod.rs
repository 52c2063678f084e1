//! The volume: verified images by their SHA-512, the published images, the archive, and all persistent state. One
//! operator owns a volume.
//!
//! * [`Volume`] opens it, with the lock or read-only. Every small file is written under a temporary name in `scratch/`
//!   and then renamed. When the volume is opened after a run was cut off, its temporary files are removed.
//! * [`VerifiedBlob`] is made only after the digest of the bytes was verified. Only a verified blob can be published.
//! * [`Jobs`] runs the downloads. They are keyed by namespace, digest and URL, limited in total and for each host, and
//!   resumed from what is on the disk.
//! * [`Volume::adopt`] takes in files that another program downloaded, by their computed digest.
//! * [`Conversions`] makes other forms of images, each once for everyone who wants it.
//! * Entries ([`Volume::publish`], [`Volume::archive`], …) are the links that users and clouds see. [`retention`]
//!   selects what the archive no longer needs, and [`Volume::collect_garbage`] removes blobs that nothing refers to.
//!
//! Files that the operator did not make are never deleted or overwritten. Calls on [`Volume`] block for a few file
//! operations each, some with `fsync`. Only downloads and conversions take long, and these are jobs.

mod adding;
mod adopt;
mod append_file;
mod bandwidth;
mod blob;
mod block;
mod blocking;
mod conversion;
mod download;
mod entry;
mod error;
mod file_scan;
mod garbage;
mod image_stamps;
mod inspection;
mod job;
mod job_request;
mod known_shelves;
mod learned;
mod list_store;
mod name;
mod partial;
mod progress;
mod quota;
mod record;
pub mod retention;
mod right;
mod scrub;
mod shard_folder;
mod space;
mod usage;
mod version;
mod volume;

pub use adopt::{Adopted, Adoption};
pub use blob::{BlobCheck, BlobStamp, VerifiedBlob};
pub use conversion::{ConversionKey, ConversionLimits, ConversionState, Conversions, Part};
pub use error::{CacheError, DownloadError};
pub use garbage::{Collected, Keep};
pub use image_stamps::ImageStamps;
pub use inspection::Inspected;
pub use job::{JobState, Jobs};
pub use job_request::{DownloadRequest, JobKey, JobLimits};
pub use list_store::StoredList;
pub(crate) use name::encode_version;
pub use name::{ImageKey, NameError, SafeName, StatePath};
pub use progress::Figures;
pub use scrub::{Scrub, ScrubSettings, Spoiled};
pub use shard_folder::{MOST_SHARDS, ShardFolder};
pub use space::Free;
pub use usage::{Usage, Used};
pub use version::{Entries, Entry};
pub use volume::Volume;
