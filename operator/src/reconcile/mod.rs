//! The reconcilers: one folder for each kind, one file for each call.
//!
//! ```text
//! check     Spec -> Checked                               pure: parse the spec once, into checked types
//! observe   &Checked -> Observed                          I/O: the list, the images, the volume. Decides nothing
//! plan      (&Checked, &Observed, now) -> Plan            pure, total, deterministic: makes all decisions
//! apply     &Plan -> Outcomes                             I/O: each step idempotent. Decides nothing
//! report    (&Checked, &Plan, &Outcomes, now) -> Report   pure: conditions, events, time of the next pass
//! ```
//!
//! The reconcilers are level-triggered: a pass may be interrupted anywhere. The next pass observes and plans again, and
//! needs only the volume and the status.

mod announced;
mod backoff;
mod check;
pub mod cloud_target;
mod conditions;
mod context;
mod dry_run;
pub mod endorser;
mod exchange;
mod finish;
#[cfg(test)]
mod fixtures;
pub mod image;
mod learned;
mod probe;
pub mod progress;
mod report;
mod secret;
mod source;
mod step;
pub mod subscription;
mod survey;
mod tls;
mod transition;
mod versions;

pub use check::SpecError;
pub use context::{Context, ImagePaths, Settings};
pub use dry_run::{DryRun, Planned};
pub use exchange::{
    Desired, DesiredState, DetachedSignature, Downloads, Force, KeptList, ListInForce, ListOrigin, ListsInForce,
    Message, Offer, PendingEvents, PendingMessages, PublicationStatus, Publications, Published, ReportedProblems,
    Session, SettledImages, TriedAnew, WithdrawnList,
};
pub use finish::Stallable;
pub use probe::{Probed, Trouble, probe};
pub use report::Report;
pub use source::{SourceError, credentials_for, image_source};
pub use survey::{Surveyed, survey};
pub use tls::CheckedTls;
pub use versions::{KnownVersion, ListedVersion, Place, known, listed};
