//! What passes leave for each other in memory: lists in force, what images want of targets, downloads, what is not
//! published yet. None of it is needed to be right: after a start it is made anew.

mod downloads;
mod lists;
mod messages;
mod publications;
mod records;
mod session;
mod told;
mod untold;

pub use downloads::{Downloads, TriedAnew};
pub use lists::{Force, ListInForce, ListOrigin, ListsInForce, WithdrawnList};
pub use messages::{Message, PendingMessages, SignatureBeside};
pub use publications::{Desire, Desired, Offer, Publications, Published, Standing};
pub(in crate::reconcile) use records::state_path;
pub use session::Session;
pub(in crate::reconcile) use session::{Answer, Credentials, Fingerprint, Known, Last};
pub use told::Told;
pub use untold::Untold;
