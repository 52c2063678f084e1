//! The reconcilers: one folder a kind, one file a call.
//!
//! ```text
//! check     Spec -> Checked                               pure: parse the spec once, into checked types
//! observe   &Checked -> Observed                          I/O: the list, the images, the volume. Decides nothing
//! plan      (&Checked, &Observed, now) -> Plan            pure, total, deterministic: leaves no choice for later
//! apply     &Plan -> Outcomes                             I/O: each step idempotent. Decides nothing
//! report    (&Checked, &Plan, &Outcomes, now) -> Report   pure: conditions, events, when to come back
//! ```
//!
//! Level-triggered: a pass may be cut off anywhere; the next one observes and plans again and needs no memory but the
//! volume's and the status's.

mod backoff;
mod check;
pub mod cloud_target;
mod conditions;
mod context;
mod duration;
pub mod endorser;
mod finish;
pub mod image;
mod lists;
mod publications;
mod report;
mod secret;
mod source;
mod step;
pub mod subscription;
mod survey;
mod tls;
mod told;
mod transition;
mod untold;

pub use check::SpecError;
pub use conditions::time;
pub use context::{Context, Downloads, ImagePaths, Message, PendingMessages, Settings, TriedAnew};
pub use duration::{DurationError, parse_duration};
pub use finish::Stallable;
pub use lists::{Force, ListInForce, ListOrigin, ListsInForce, WithdrawnList};
pub use publications::{Desire, Desired, Offer, Publications, Published, Standing};
pub use report::Report;
pub use source::{SourceError, credentials_for};
pub use survey::{Surveyed, survey};
pub use tls::CheckedTls;
pub use told::Told;
pub use untold::Untold;
