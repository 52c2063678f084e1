//! What the clouds have in common: the requests of the reconciler, the records of what was published, and the trait
//! that a cloud implements.
//!
//! * [`target`]: the trait, and what a pass over a cloud consists of: read, plan, apply
//! * `http`: what their HTTP clients have in common
//! * [`request`]: one image of one target: the version that it should have
//! * [`record`]: what was published of an image, kept between passes
//! * [`outcome`]: the state of an image after a pass
//! * [`reason`]: the reasons of conditions that come from a cloud
//! * [`leadership_guard`]: whether this instance may change a cloud

pub(crate) mod http;
mod id;
pub mod leadership_guard;
pub mod outcome;
pub mod reason;
pub mod record;
pub mod request;
pub mod target;

pub use id::{CloudImageId, IdError};
pub use leadership_guard::LeadershipGuard;
pub use outcome::{AnyOutcome, Outcome, Verdict};
pub use reason::Reason;
pub use record::{Keeper, PublishedImage, Record, Registration, StoredRecord};
pub use request::{AnyRequest, Claim, EventAttributes, Request, Source, Wanted};
pub use target::{About, Cloud, CloudError, Connection, Plan, PlannedImage, Snapshot};
