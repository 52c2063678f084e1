//! The volume: verified images by their sha512, what is published of them, the archive, and everything that must not
//! be forgotten. One operator owns a volume.
//!
//! * [`Volume`] opens it, under the lock or for reading. Every small file is written under a temporary name in `scratch/`,
//!   then renamed; what a run left there that was cut off goes when the volume is opened the next time.
//! * [`VerifiedBlob`] is made only where bytes were seen to have their digest; only it can be published.
//! * [`Jobs`] runs the downloads: keyed by digest and URL, bounded in all and by host, resumed from what is on disk.
//! * [`Conversions`] makes other forms of images: each once, for everyone who wants it.
//! * Entries ([`Volume::publish`], [`Volume::archive`], …) are the links that people and clouds see; [`retention`]
//!   selects what the archive no longer needs and [`Volume::collect_garbage`] removes blobs that nothing refers to.
//!
//! What the operator did not make is never deleted or overwritten. Calls on [`Volume`] block for a few file
//! operations each, some with `fsync`; only downloads are long, and those are jobs.

mod bandwidth;
mod blob;
mod conversion;
mod digest;
mod download;
mod entry;
mod error;
mod free;
mod garbage;
mod job;
mod list_store;
mod look;
mod name;
mod partial;
mod progress;
mod quota;
mod record;
pub mod retention;
mod right;
mod scrub;
mod slots;
mod state;
mod step;
mod temporary;
mod usage;
mod volume;
mod write;

pub use blob::{BlobCheck, VerifiedBlob};
pub use conversion::{ConversionKey, ConversionLimits, ConversionState, Conversions, Part};
pub use entry::{Entries, Entry};
pub use error::{CacheError, DownloadError};
pub use free::Free;
pub use garbage::{Collected, Keep};
pub use job::{DownloadRequest, JobKey, JobLimits, JobState, Jobs};
pub use list_store::StoredList;
pub use name::{ImageKey, NameError, SafeName, StatePath};
pub use progress::Figures;
pub use scrub::{Scrub, ScrubSettings, Spoiled};
pub use step::Steps;
pub use temporary::{remove_leftovers_below, remove_leftovers_in};
pub use usage::{Usage, Used};
pub use volume::Volume;
pub use write::write_atomic;
