//! Files and directories: writes that are whole and durable, temporary files, directories read without following links,
//! stamps that show changes, small files of a site.

mod directory;
mod error;
mod input;
mod rename;
mod stamp;
mod step;
mod sync;
mod temporary;
mod write;

pub(crate) use directory::{
    NO_LINK, ensure_directory, make_directory, open_no_link, parent, read_directory, read_own_directory, remove,
};
pub use error::FileError;
pub use input::InputError;
pub(crate) use input::{UNKNOWN_KIND, kind_name, read_input};
pub(crate) use rename::{Existing, rename};
pub use stamp::Stamp;
pub(crate) use step::StepHook;
pub use step::Steps;
pub(crate) use sync::sync_directory;
pub(crate) use temporary::make_in;
pub use temporary::{remove_leftovers_below, remove_leftovers_in};
pub use write::write_atomic;
pub(crate) use write::{Durability, write_over};
