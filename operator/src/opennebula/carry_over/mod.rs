//! Carry-over: how a new version takes an old image's place, so that nobody notices but for the content.
//!
//! A site owns what it made of an image: owner, group, permissions, whether it is enabled, its labels. All of that is
//! remembered (A), the old image is given to the retired owner with mode 700 (B), renamed and disabled (C), the new one
//! takes the name (D) and what was remembered (E). [`UpdateMode`] says in which order; both end alike.
//!
//! * [`plan`]: pool, wanted images and records in, steps out. Pure: no clock, no network
//! * [`apply`]: the steps against a cloud; images are independent of each other
//! * `pass`: one pool read, the plan, its steps, and what became of each image
//!
//! Nothing is remembered between passes but the [`Record`] of each image, and a pass may be cut off after any call: the
//! next one reads the pool and goes on from there.

mod apply;
mod attributes;
mod hands;
mod image;
mod names;
mod pass;
mod plan;
mod recognise;
mod record;
mod retirement;
mod snapshot;
mod step;
mod wanted;

pub use apply::{Outcome, apply};
pub use names::{LONGEST_IDENTIFIER, retired_name, staged_name};
pub use pass::{Cloud, Keeper, PassReport, Publisher};
pub use plan::{ImagePlan, Plan, Verdict, plan};
pub use record::{Metadata, PublishedImage, Record, Registration};
pub use retirement::{End, Retirement};
pub use snapshot::{Hidden, Snapshot};
pub use step::Step;
pub use wanted::{
    Adoptable, Claim, EventAttributes, Reference, Request, Retired, Settings, SettingsError, Source, UpdateMode, Wanted,
};
