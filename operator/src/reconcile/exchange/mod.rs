//! State that passes share in memory: lists in force, desired states of images at targets, downloads, and events that
//! are not published yet. Correctness does not depend on it: it is made again after a start.

mod downloads;
mod lists;
mod messages;
mod pending_events;
mod publications;
mod records;
mod reported_problems;
mod session;
mod settled;

pub use downloads::{Downloads, TriedAnew};
pub use lists::{Force, KeptList, ListInForce, ListOrigin, ListsInForce, WithdrawnList};
pub use messages::{DetachedSignature, Message, PendingMessages};
pub use pending_events::PendingEvents;
pub use publications::{Desired, DesiredState, Offer, PublicationStatus, Publications, Published};
pub(in crate::reconcile) use records::state_path;
pub use reported_problems::ReportedProblems;
pub use session::Session;
pub(in crate::reconcile) use session::{Answer, Credentials, Fingerprint, Known, Last};
pub use settled::SettledImages;
